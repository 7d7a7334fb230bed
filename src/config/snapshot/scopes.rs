//! What the authorization server calls the scopes that tokens are tested for.

/// Names to ask for. An authorization server may want a scope asked for by another name than the one that it puts into
/// tokens (Entra ID: `api://APP/tool.read` is asked for, and `scp` says `tool.read`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AskedScopes {
    /// Put before every scope that `names` does not have.
    pub prefix: Box<str>,
    /// Scopes as tokens have them, and as they are asked for; sorted, none twice.
    pub names: Box<[(Box<str>, Box<str>)]>,
    /// The challenge of a 401 names the scopes of rules too.
    pub initial_all: bool,
}

impl AskedScopes {
    /// Appends what is asked for to get `scope`.
    pub fn write(&self, scope: &str, out: &mut String) {
        match self.names.binary_search_by(|(own, _)| (**own).cmp(scope)) {
            Ok(at) => out.push_str(&self.names[at].1),
            Err(_) => {
                out.push_str(&self.prefix);
                out.push_str(scope);
            }
        }
    }

    /// What is asked for to get `scope`.
    pub fn of(&self, scope: &str) -> String {
        let mut name = String::with_capacity(self.prefix.len() + scope.len());
        self.write(scope, &mut name);
        name
    }

    /// What is asked for to get all of `scopes`, in their order, separated by spaces, none twice.
    pub fn all<'s>(&self, scopes: impl IntoIterator<Item = &'s str>) -> String {
        let mut asked: Vec<String> = Vec::new();
        for name in scopes.into_iter().map(|scope| self.of(scope)) {
            if !asked.contains(&name) {
                asked.push(name);
            }
        }
        asked.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_has_its_own_name_or_the_prefix_and_is_asked_for_once() {
        let names = [("openid", "openid"), ("read", "urn:read"), ("list", "urn:read")];
        let mut names = names.map(|(own, asked)| (own.into(), asked.into()));
        names.sort();
        let asked = AskedScopes { prefix: "api://x/".into(), names: names.into(), initial_all: false };
        assert_eq!(asked.all(["read", "write", "list", "openid", "write"]), "urn:read api://x/write openid");
        assert_eq!(AskedScopes::default().all(["b", "a", "b"]), "b a");
        assert_eq!(asked.all([]), "");
    }
}
