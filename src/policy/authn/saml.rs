//! SAML 2.0 assertions that agents show as bearer tokens, in base64url (RFC 7522 section 2.1).
//!
//! Nothing of an assertion is believed here, and nothing of it is read but what tells its form: its signature, its
//! audience, its times and its subject are for the authorization server to judge (RFC 7522 section 3), which gives a
//! token for a good one. The token is then judged as any other, and says who calls.

use super::refused::{MALFORMED_ASSERTION, UNSUPPORTED};
use super::{Outcome, base64url};
use crate::policy::propagate::{ExchangeWish, Grant};

/// The namespace of SAML 2.0 assertions. Every one has it.
const NAMESPACE: &[u8] = b"urn:oasis:names:tc:SAML:2.0:assertion";

/// Who is asked about SAML assertions.
#[derive(Debug, PartialEq)]
pub struct Saml {
    /// Where assertions are traded for tokens.
    pub grant: Grant,
    /// By which grant.
    pub wish: ExchangeWish,
    /// A text that stands in every assertion that is worth asking about, if one is known.
    pub entity_id: Option<Box<str>>,
    /// How long an answer may be believed, in seconds.
    pub cache: u64,
}

/// Whether `token` is base64url of text that begins as XML does and names the namespace of SAML 2.0 assertions.
pub fn has_form(token: &[u8]) -> bool {
    text(token).is_some()
}

/// What `token` stands for, if it has the form of an assertion.
fn text(token: &[u8]) -> Option<Vec<u8>> {
    // `<` fills the first letter and two bits of the second: any other token is told from its beginning.
    let begins = matches!(token, [b'P', b'A'..=b'P', ..]);
    let text = begins.then(|| base64url::decode(token))??;
    memchr::memmem::find(&text, NAMESPACE).map(|_| text)
}

impl Saml {
    /// Whether the issuer is to be asked about `token`, which [has the form](has_form) of an assertion.
    pub fn judge(&self, token: &[u8]) -> Outcome {
        let Some(text) = text(token) else { return Outcome::Refused(MALFORMED_ASSERTION) };
        if !is_plain(&text) {
            return Outcome::Refused(MALFORMED_ASSERTION);
        }
        match &self.entity_id {
            Some(known) if memchr::memmem::find(&text, known.as_bytes()).is_none() => {
                Outcome::Refused(UNSUPPORTED)
            }
            _ => Outcome::NeedsTrade,
        }
    }
}

/// Whether `text` is one element in UTF-8, with an XML declaration before it at the most: no document type, which could
/// make a parser fetch or grow (XXE), and no comment, at which parsers have disagreed about who the subject is
/// (CVE-2017-11427 and its kin). No assertion needs either.
fn is_plain(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let body = match text.strip_prefix("<?xml ") {
        Some(rest) => match rest.split_once("?>") {
            Some((_, body)) => body.trim_start(),
            None => return false,
        },
        None => text,
    };
    let element =
        body.strip_prefix('<').is_some_and(|rest| rest.starts_with(|c: char| c.is_alphabetic() || c == '_'));
    element
        && body.trim_end().ends_with('>')
        && !body.contains("<!")
        && !body.contains("<?")
        && !body.contains('\0')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::base::Secret;
    use crate::policy::authn::base64url::encode;
    use crate::policy::authn::refused::Refused;
    use crate::policy::propagate::{ClientProof, SAML2, Trade};

    const GOOD: &str = r#"<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"><saml:Issuer>https://adfs.example</saml:Issuer></saml:Assertion>"#;

    fn saml(entity_id: Option<&str>) -> Saml {
        let grant = Grant {
            token_url: "https://sts.example/token".into(),
            client_id: "gw".into(),
            client: ClientProof::Basic(Secret::new(*b"hunter2")),
            audience: None,
            resource: None,
            scope: Box::default(),
        };
        let wish = ExchangeWish {
            trade: Trade::Saml2Bearer,
            subject_token_type: SAML2.into(),
            requested_token_type: None,
            header: None,
        };
        Saml { grant, wish, entity_id: entity_id.map(Into::into), cache: 300 }
    }

    fn refused(saml: &Saml, text: &[u8]) -> Option<Refused> {
        match saml.judge(encode(text).as_bytes()) {
            Outcome::NeedsTrade => None,
            Outcome::Refused(refused) => Some(refused),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_assertion_is_told_by_its_form() {
        for text in [
            GOOD,
            &format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{GOOD}\n"),
            &format!("<!-- -->{GOOD}"),
        ] {
            assert!(has_form(encode(text.as_bytes()).as_bytes()), "{text}");
        }
        let good = encode(GOOD.as_bytes());
        for token in [
            String::new(),
            "P".into(),
            "PHNhbWw".into(),
            "a.b.c".into(),
            format!("{good}="),
            format!("{good}."),
            format!("x{good}"),
            encode(b"<html>urn:oasis:names:tc:SAML:1.0:assertion</html>"),
            encode(format!(" {GOOD}").as_bytes()),
            encode(format!("\u{feff}{GOOD}").as_bytes()),
        ] {
            assert!(!has_form(token.as_bytes()), "{token}");
        }
    }

    #[test]
    fn only_one_plain_element_is_sent_to_the_issuer() {
        assert_eq!(refused(&saml(None), GOOD.as_bytes()), None);
        let declared = format!("<?xml version='1.0'?>\r\n{GOOD}\n");
        assert_eq!(refused(&saml(None), declared.as_bytes()), None);
        for text in [
            format!("<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>{GOOD}"),
            format!("<?xml version='1.0'?><!DOCTYPE a>{GOOD}"),
            format!("<!---->{GOOD}"),
            GOOD.replace("https://adfs", "https://adfs<!-- -->"),
            GOOD.replace("https://adfs", "<![CDATA[https://adfs]]>"),
            GOOD.replace("https://adfs", "<?x y?>"),
            format!("<?xml version='1.0'?><?xml version='1.0'?>{GOOD}"),
            format!("<?xml {}", &GOOD[1..]),
            format!("{GOOD}x"),
            format!("< {GOOD}"),
            GOOD.replace("adfs", "ad\0fs"),
        ] {
            assert_eq!(refused(&saml(None), text.as_bytes()), Some(MALFORMED_ASSERTION), "{text}");
        }
        let broken = [GOOD.as_bytes(), b"\xff>"].concat();
        assert_eq!(refused(&saml(None), &broken), Some(MALFORMED_ASSERTION));
    }

    #[test]
    fn what_does_not_name_the_known_identity_provider_is_not_worth_a_question() {
        assert_eq!(refused(&saml(Some("https://adfs.example")), GOOD.as_bytes()), None);
        assert_eq!(refused(&saml(Some("https://other.example")), GOOD.as_bytes()), Some(UNSUPPORTED));
    }
}
