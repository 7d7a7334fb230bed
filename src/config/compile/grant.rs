//! Where tokens are had, and how the gateway proves itself there: what `client_credentials`, `token_exchange` and
//! `authentication.saml` have in common.

use super::{Context, material};
use crate::base::Secret;
use crate::config::file::File;
use crate::config::file::authentication::SamlSection;
use crate::config::file::credentials::{ClientAuthentication, ExchangeSection, GrantSection};
use crate::config::text::Reference;
use crate::policy::propagate::{ACCESS_TOKEN, ClientProof, ExchangeWish, Grant, SAML2, Signer, Trade};
use crate::schema::finding::{At, Findings, Place, Problem};

/// What a section has of a grant: two kinds of sections declare the same fields.
macro_rules! grant_of {
    ($section:expr) => {
        GrantSection {
            place: $section.place.clone(),
            token_url: $section.token_url.clone(),
            client_id: $section.client_id.clone(),
            client_authentication: $section.client_authentication.clone(),
            client_secret: $section.client_secret.clone(),
            client_key: $section.client_key.clone(),
            scopes: $section.scopes.clone(),
            audience: $section.audience.clone(),
            resource: $section.resource.clone(),
        }
    };
}

/// The grant of a section, if all of it is there and good.
pub fn compile(
    file: &File,
    section: &GrantSection,
    context: &Context<'_>,
    findings: &mut Findings,
) -> Option<Grant> {
    let url = section.token_url.as_ref();
    if let Some(problem) = url.and_then(|url| is_permitted(&url.value, file).err().map(|found| (url, found)))
    {
        findings.note(&problem.0.place, problem.1);
    }
    let client = client(section, context, findings);
    let text = |option: &Option<At<String>>| option.as_ref().map(|option| option.value.as_str().into());
    let scopes: Vec<&str> = section.scopes.value.iter().map(|scope| scope.value.as_str()).collect();
    Some(Grant {
        token_url: url?.value.as_str().into(),
        client_id: section.client_id.as_ref()?.value.as_str().into(),
        client: client?,
        audience: text(&section.audience),
        resource: text(&section.resource),
        scope: scopes.join(" ").into(),
    })
}

/// Whether this URL, which its rule has read, may be fetched.
pub fn is_permitted(url: &str, file: &File) -> Result<(), Problem> {
    let is_https = url.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("https://"));
    if is_https || file.outbound.value.allow_http.value {
        return Ok(());
    }
    let fix = "use `https`; only where nobody can change the traffic: `outbound: {allow_http: true}`";
    Err(Problem::new("is not `https`, so that anybody on the way could read and change it", fix))
}

/// How the gateway proves itself: by a secret or by a key, and not by both.
fn client(section: &GrantSection, context: &Context<'_>, findings: &mut Findings) -> Option<ClientProof> {
    let how = section.client_authentication.value;
    let is_key = how == ClientAuthentication::Key;
    let (wanted, name, other, other_name) = if is_key {
        (&section.client_key, "client_key", &section.client_secret, "client_secret")
    } else {
        (&section.client_secret, "client_secret", &section.client_key, "client_key")
    };
    if let Some(other) = other {
        let fix =
            format!("remove it, or change `client_authentication` (`{other_name}` is not for this one)");
        findings.add(&other.place, format!("is not used beside `{name}`"), fix);
    }
    let Some(wanted) = wanted else {
        let place = section.place.key(name, section.place.spot);
        findings.add(
            &place,
            "is missing",
            format!("add `{name}: ...`: a file name, `file:NAME` or `env:NAME`"),
        );
        return None;
    };
    if is_key {
        return key(section, wanted, context, findings);
    }
    let secret = material::line(&wanted.value, context);
    let secret = Secret::new(secret.map_err(|problem| findings.note(&wanted.place, problem)).ok()?);
    Some(if how == ClientAuthentication::Post {
        ClientProof::Post(secret)
    } else {
        ClientProof::Basic(secret)
    })
}

fn key(
    section: &GrantSection,
    reference: &At<Reference>,
    context: &Context<'_>,
    findings: &mut Findings,
) -> Option<ClientProof> {
    let id = section.client_id.as_ref()?.value.as_str();
    let read = material::secret(&reference.value, context).map(|bytes| material::der(&bytes));
    let made = read.and_then(|der| Signer::new(id.into(), der.reveal()).map_err(not_a_key));
    made.map_err(|problem| findings.note(&reference.place, problem))
        .ok()
        .map(|signer| ClientProof::Key(Box::new(signer)))
}

/// What is wrong with a key that was given to sign with, and how one is made.
pub fn not_a_key(what: &str) -> Problem {
    let fix = "give a key made with `openssl genpkey -algorithm ed25519`, or `-algorithm EC -pkeyopt \
               ec_paramgen_curve:P-256`; an older form becomes PKCS #8 with `openssl pkcs8 -topk8 -nocrypt`";
    Problem::new(what, fix)
}

/// Of a section for exchanges, what it has in common with the others, and the rest.
pub fn exchange(section: &ExchangeSection, findings: &mut Findings) -> (GrantSection, ExchangeWish) {
    let trade = section.grant.value;
    if let Some(given) = section.subject_token_type.as_ref().filter(|_| trade != Trade::TokenExchange) {
        let fix = "remove it, or use `grant: token_exchange`";
        findings.add(&given.place, "is sent in a token exchange only", fix);
    }
    if trade == Trade::OnBehalfOf && section.scopes.value.is_empty() {
        let fix = "add `scopes: [\"api://SERVER-APP-ID/.default\"]`, the server as Entra ID knows it";
        findings.add(&section.place, "asks on behalf of the user for no `scopes`, which is refused", fix);
    }
    let requested = section.requested_token_type.as_ref();
    if let Some(requested) = requested.filter(|kind| kind.value.contains(":saml") && section.header.is_none())
    {
        let fix = "add `header`, in which the server expects it";
        findings.add(&requested.place, "is no access token, and no `header` says where it goes", fix);
    }
    let subject = section.subject_token_type.as_ref().map_or(ACCESS_TOKEN, |kind| kind.value.as_str());
    let header = section.header.as_ref().map(|header| header.value.to_ascii_lowercase());
    let wish = ExchangeWish {
        trade,
        subject_token_type: subject.into(),
        requested_token_type: requested.map(|kind| kind.value.as_str().into()),
        header: header.map(Into::into),
    };
    (grant_of!(section), wish)
}

/// The same of the section for assertions that agents show.
pub fn saml(section: &SamlSection) -> (GrantSection, ExchangeWish) {
    let wish = ExchangeWish {
        trade: section.grant.value,
        subject_token_type: SAML2.into(),
        requested_token_type: None,
        header: None,
    };
    (grant_of!(section), wish)
}

/// The header that an exchange sets, in lower case, and where it is written.
pub fn header(section: &ExchangeSection) -> (String, &Place) {
    match &section.header {
        Some(header) => (header.value.to_ascii_lowercase(), &header.place),
        None => ("authorization".to_owned(), &section.place),
    }
}
