//! Sections as documents: JSON Schema (draft 2020-12) for editors, Markdown for readers. Both come from the declarations, so neither
//! can lag behind.

use serde_json::{Map, Value as Json, json};

use super::finding::Findings;
use super::section::{Nested, OptionInfo, Presence};
use super::yaml;

/// The JSON Schema of one section.
pub fn of_section(section: &Nested) -> Json {
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

/// Appends the reference of a section and, behind it, of those in it.
pub fn write_section(text: &mut String, title: &str, path: &str, section: &Nested) {
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
