//! What the declared options look like to editors (JSON Schema, draft 2020-12) and to readers
//! (Markdown). Both come from the declarations in `file`, so neither can lag behind.

use serde_json::{Map, Value as Json, json};

use super::file::File;
use crate::schema::document::{of_section, write_section};
use crate::schema::section::Section;

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

#[cfg(test)]
mod tests;
