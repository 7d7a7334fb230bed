//! What the declared options look like to editors (JSON Schema, draft 2020-12) and to readers
//! (Markdown). Both come from the declarations in `file`, so neither can lag behind.

use serde_json::{Map, Value as Json, json};

use super::file::File;
use super::finding::Findings;
use super::section::{Nested, OptionInfo, Presence, Section};
use super::yaml;

/// The JSON Schema of a configuration file.
pub fn json_schema() -> Json {
    let Json::Object(section) = of_section(&File::nested()) else { return Json::Null };
    let mut schema = Map::new();
    schema.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    // A name, by which other schemas can refer to this one; nothing need be there.
    schema.insert("$id".to_owned(), json!("urn:ringgate:configuration"));
    schema.insert("title".to_owned(), json!("ringgate configuration"));
    schema.extend(section);
    // Where a server is stands in one of two options, which no rule of a single option can say.
    if let Some(server) = schema.get_mut("properties").and_then(|all| all.pointer_mut("/servers/items")) {
        server["oneOf"] = json!([{"required": ["url"]}, {"required": ["endpoints"]}]);
    }
    Json::Object(schema)
}

/// The JSON Schema of one section.
pub(super) fn of_section(section: &Nested) -> Json {
    let mut properties = Map::new();
    for option in &section.options {
        properties.insert(option.name.to_owned(), of_option(option));
    }
    let required: Vec<_> = section
        .options
        .iter()
        .filter(|option| option.presence == Presence::Required)
        .map(|option| option.name)
        .collect();
    let mut schema = json!({"type": "object", "description": section.doc, "additionalProperties": false});
    schema["properties"] = Json::Object(properties);
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn of_option(option: &OptionInfo) -> Json {
    let mut schema = option.schema.clone();
    schema["description"] = json!(option.doc);
    if let Presence::Default(text) = option.presence
        && let Some(node) = yaml::parse(text, &mut Findings::default())
    {
        schema["default"] = yaml::to_json(&node);
    }
    schema
}

/// The reference of all options, as `docs/configuration.md`.
pub fn markdown() -> String {
    let mut text = String::from(INTRODUCTION);
    let file = File::nested();
    text += &format!("{}\n", file.doc);
    write_section(&mut text, "Top level", "", &file);
    text
}

const INTRODUCTION: &str = "<!-- Generated: ringgate schema --markdown > docs/configuration.md -->\n\
    # Configuration\n\n\
    For completion and checks while you type, give your editor the schema: `ringgate schema > ringgate.schema.json`, \
    and begin the file with `# yaml-language-server: $schema=ringgate.schema.json`. Examples are in \
    [examples](examples/); the smallest file is:\n\n\
    ```yaml\nservers:\n  - name: weather\n    url: http://127.0.0.1:3001/mcp\n```\n\n";

fn write_section(text: &mut String, title: &str, path: &str, section: &Nested) {
    *text += &format!("\n## {title}\n\n");
    if !path.is_empty() {
        *text += &format!("{}\n\n", section.doc);
    }
    *text += "| Option | Value | Default | Meaning |\n|---|---|---|---|\n";
    for option in &section.options {
        let default = match option.presence {
            Presence::Required => "**required**".to_owned(),
            Presence::Optional => "-".to_owned(),
            Presence::Default("{}") if option.nested.is_some() => "its defaults".to_owned(),
            Presence::Default(yaml) => format!("`{yaml}`"),
        };
        let cells = [format!("`{}`", option.name), option.wanted.clone(), default, option.doc.clone()];
        *text += &format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | "));
    }
    for option in &section.options {
        if let Some(inner) = &option.nested {
            let dot = if path.is_empty() { "" } else { "." };
            let path = format!("{path}{dot}{}{}", option.name, inner.suffix);
            write_section(text, &format!("`{path}`"), &path, inner);
        }
    }
}

#[cfg(test)]
mod tests;
