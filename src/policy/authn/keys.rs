//! The public keys of an issuer (RFC 7517).
//!
//! Each key says by its own type, and by its `alg` if it has one, what it may verify; the token only chooses among
//! that. So no token can have an RSA key used as the secret of an HMAC. Keys are kept in the form that the
//! cryptographic library takes, so verifying parses nothing.

use std::fmt;

use ring::signature as sig;
use serde_json::{Map, Value as Json};

use super::algorithm::{Algorithm, Algorithms};
use super::{base64url, json};

/// Bytes of a JWK set.
pub const SET_BYTES_MAX: usize = 256 << 10;
/// Keys of a JWK set.
pub const KEYS_MAX: usize = 64;
/// Bytes of a key's id.
pub const KEY_ID_BYTES_MAX: usize = 1 << 10;

/// A set of keys that signatures are verified with.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct KeySet {
    keys: Box<[Key]>,
    dropped: Dropped,
}

/// The keys of a set that are not used: the id or the place of each, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dropped(Box<[(Box<str>, &'static str)]>);

impl Dropped {
    /// Whether there is none of which it is worth saying so: keys for encryption are often published with the others.
    pub fn is_usual(&self) -> bool {
        self.0.iter().all(|(_, why)| *why == FOR_ENCRYPTION)
    }
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, why)) in self.0.iter().enumerate() {
            let name = crate::base::restraint::cut(name, KEY_ID_SHOWN_MAX).escape_debug();
            write!(f, "{}`{name}` {why}", if index > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

/// Characters of a key's id in a log line.
pub const KEY_ID_SHOWN_MAX: usize = 100;
const FOR_ENCRYPTION: &str = "is for encryption (`use`)";

/// What a set says to a token's header.
#[derive(Debug, PartialEq)]
pub enum Choice<'a> {
    /// It is this key.
    Key(&'a Key),
    /// The key of that id cannot have made a signature of that algorithm.
    WrongAlgorithm,
    /// There are several that could be meant.
    Ambiguous,
    /// There is none that could be meant.
    Unknown,
}

impl KeySet {
    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether each key of `other` is one of these.
    pub fn has_all_of(&self, other: &Self) -> bool {
        other.keys.iter().all(|key| self.keys.contains(key))
    }

    /// Whether there is none: then no token can be verified.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The usable keys of a JWK set. Keys of other kinds and for other uses are passed over, as RFC 7517 section 5 wants.
    ///
    /// # Errors
    /// What is wrong with it, in words for the operator: nothing of the text is quoted.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        if text.len() > SET_BYTES_MAX {
            return Err("is larger than 256 KiB".to_owned());
        }
        let set =
            json::object(text).ok_or_else(|| "is not a JSON object without repeated names".to_owned())?;
        let Some(Json::Array(entries)) = set.get("keys") else {
            return Err("has no list named `keys`".to_owned());
        };
        if entries.len() > KEYS_MAX {
            return Err("has more than 64 keys".to_owned());
        }
        let mut keys: Vec<Key> = Vec::with_capacity(entries.len());
        let mut dropped: Vec<(Box<str>, &'static str)> = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            match entry.as_object().ok_or("is not an object").and_then(Key::read) {
                // The same key once more does not make it unclear which is meant.
                Ok(key) if keys.contains(&key) => {}
                Ok(key) => keys.push(key),
                Err(why) => {
                    let id = entry.get("kid").and_then(Json::as_str);
                    let place = || format!("keys[{index}]");
                    dropped.push((id.map_or_else(place, str::to_owned).into(), why));
                }
            }
        }
        let dropped = Dropped(dropped.into());
        if keys.is_empty() {
            let none = "has no public key for signatures that is known here";
            return Err(if entries.is_empty() { none.to_owned() } else { format!("{none}: {dropped}") });
        }
        Ok(Self { keys: keys.into(), dropped })
    }

    /// The keys that are not used.
    pub fn dropped(&self) -> &Dropped {
        &self.dropped
    }

    /// The ids of the keys, as far as they have one.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().filter_map(|key| key.id.as_deref())
    }

    /// The key that a token with this `kid` and algorithm means. Without a `kid` only one key may fit; and where none has
    /// that id, only one of those that have no id.
    pub fn choose(&self, kid: Option<&str>, algorithm: Algorithm) -> Choice<'_> {
        let named = kid.filter(|_| self.keys.iter().any(|key| key.id.as_deref() == kid));
        let may_be = |key: &&Key| match (kid, named) {
            (_, Some(_)) => key.id.as_deref() == named,
            (Some(_), None) => key.id.is_none(),
            (None, None) => true,
        };
        let mut fit = self.keys.iter().filter(may_be).filter(|key| key.algorithms.contains(algorithm));
        match (fit.next(), fit.next(), named) {
            (Some(key), None, _) => Choice::Key(key),
            (Some(_), Some(_), _) => Choice::Ambiguous,
            (None, _, Some(_)) => Choice::WrongAlgorithm,
            (None, _, None) => Choice::Unknown,
        }
    }
}

impl fmt::Debug for KeySet {
    /// The ids.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| key.id.as_deref())).finish()
    }
}

/// A public key.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    id: Option<Box<str>>,
    /// What it verifies.
    algorithms: Algorithms,
    material: Material,
}

#[derive(Clone, PartialEq, Eq)]
enum Material {
    Rsa {
        modulus: Box<[u8]>,
        exponent: Box<[u8]>,
    },
    /// A point (SEC 1 section 2.3.3, uncompressed), or the key of Ed25519.
    Point(Box<[u8]>),
}

impl fmt::Debug for Key {
    /// The id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?})", self.id)
    }
}

impl Key {
    /// The key of this JWK.
    ///
    /// # Errors
    /// Why it cannot verify signatures here.
    fn read(jwk: &Map<String, Json>) -> Result<Self, &'static str> {
        let given = |name: &str| jwk.get(name).filter(|value| !value.is_null());
        let text = |name: &str| given(name).and_then(Json::as_str);
        match given("use").map(|usage| usage.as_str().unwrap_or_default()) {
            // `jwt-svid` is what SPIFFE calls keys of JWTs (JWT-SVID section 3, bundles).
            None | Some("sig" | "jwt-svid") => {}
            Some("enc") => return Err(FOR_ENCRYPTION),
            Some(_) => return Err("is for something else than JWTs (`use`)"),
        }
        let verifies = given("key_ops").is_none_or(|operations| {
            operations.as_array().is_some_and(|list| list.iter().any(|operation| operation == "verify"))
        });
        if !verifies {
            return Err("is not for verifying (`key_ops`)");
        }
        // A private key that is published signs for everybody.
        if jwk.contains_key("d") || jwk.contains_key("k") {
            return Err("is a private or symmetric key, which is no secret once it is published");
        }
        let id = match given("kid") {
            None => None,
            Some(id) => {
                let id = id.as_str().filter(|id| id.len() <= KEY_ID_BYTES_MAX);
                Some(id.ok_or("has a `kid` that is no text of at most 1024 bytes")?.into())
            }
        };
        let (material, fitting) = match (text("kty").unwrap_or_default(), text("crv")) {
            ("RSA", _) => (text("n").zip(text("e")).and_then(|(n, e)| rsa(n, e)), RSA),
            ("EC", Some("P-256")) => (point_of(jwk, 32), &[Algorithm::Es256][..]),
            ("EC", Some("P-384")) => (point_of(jwk, 48), &[Algorithm::Es384][..]),
            ("OKP", Some("Ed25519")) => (text("x").and_then(edwards), &[Algorithm::EdDsa][..]),
            _ => return Err("is of another kind than RSA, P-256, P-384 and Ed25519 (`kty`, `crv`)"),
        };
        let material = material.ok_or("is not whole, or too small: RSA has 2048 to 8192 bits")?;
        let algorithms = match given("alg") {
            None => fitting.iter().copied().collect(),
            Some(name) => {
                let named = name.as_str().and_then(Algorithm::named);
                let fits = named.filter(|algorithm| fitting.contains(algorithm));
                [fits.ok_or("is for an algorithm that is not accepted, or does not fit it (`alg`)")?]
                    .into_iter()
                    .collect()
            }
        };
        Ok(Self { id, algorithms, material })
    }

    /// Whether it has an id.
    pub fn has_id(&self) -> bool {
        self.id.is_some()
    }

    /// Whether `signature` over `message` was made with the private half of this key.
    pub fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        if !self.algorithms.contains(algorithm) {
            return false;
        }
        let verified = match &self.material {
            Material::Rsa { modulus: n, exponent: e } => {
                let Some(parameters) = rsa_parameters(algorithm) else { return false };
                sig::RsaPublicKeyComponents { n, e }.verify(parameters, message, signature)
            }
            Material::Point(point) => {
                let Some(curve) = curve(algorithm) else { return false };
                sig::UnparsedPublicKey::new(curve, point).verify(message, signature)
            }
        };
        verified.is_ok()
    }
}

const RSA: &[Algorithm] = &[
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
];

fn rsa_parameters(algorithm: Algorithm) -> Option<&'static sig::RsaParameters> {
    match algorithm {
        Algorithm::Rs256 => Some(&sig::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::Rs384 => Some(&sig::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::Rs512 => Some(&sig::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::Ps256 => Some(&sig::RSA_PSS_2048_8192_SHA256),
        Algorithm::Ps384 => Some(&sig::RSA_PSS_2048_8192_SHA384),
        Algorithm::Ps512 => Some(&sig::RSA_PSS_2048_8192_SHA512),
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::EdDsa => None,
    }
}

fn curve(algorithm: Algorithm) -> Option<&'static dyn sig::VerificationAlgorithm> {
    match algorithm {
        Algorithm::Es256 => Some(&sig::ECDSA_P256_SHA256_FIXED),
        Algorithm::Es384 => Some(&sig::ECDSA_P384_SHA384_FIXED),
        Algorithm::EdDsa => Some(&sig::ED25519),
        Algorithm::Rs256
        | Algorithm::Rs384
        | Algorithm::Rs512
        | Algorithm::Ps256
        | Algorithm::Ps384
        | Algorithm::Ps512 => None,
    }
}

/// An RSA key of 2048 (RFC 7518 section 3.3) to 8192 bits with an odd exponent of 3 to 2^32.
fn rsa(modulus: &str, exponent: &str) -> Option<Material> {
    let number = |text: &str| {
        let bytes = base64url::decode(text.as_bytes())?;
        // Some issuers keep the sign byte of DER.
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        Some(Box::<[u8]>::from(&bytes[zeros..]))
    };
    let is_odd = |number: &[u8]| number.last().is_some_and(|byte| byte & 1 == 1);
    let (modulus, exponent) = (number(modulus)?, number(exponent)?);
    let bits = modulus.len() * 8 - modulus.first()?.leading_zeros() as usize;
    let usable = (RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits)
        && is_odd(&modulus)
        && exponent.len() <= 4
        && is_odd(&exponent)
        && *exponent != [1];
    usable.then_some(Material::Rsa { modulus, exponent })
}

const RSA_BITS_MIN: usize = 2048;
const RSA_BITS_MAX: usize = 8192;

fn point_of(jwk: &Map<String, Json>, coordinate_len: usize) -> Option<Material> {
    let text = |name: &str| jwk.get(name).and_then(Json::as_str);
    point(text("x")?, text("y")?, coordinate_len)
}

fn point(x: &str, y: &str, coordinate_len: usize) -> Option<Material> {
    let coordinate = |text: &str| {
        // RFC 7518 section 6.2.1.2: always of full length.
        base64url::decode(text.as_bytes()).filter(|bytes| bytes.len() == coordinate_len)
    };
    Some(Material::Point([&[4][..], &coordinate(x)?, &coordinate(y)?].concat().into()))
}

fn edwards(x: &str) -> Option<Material> {
    let bytes = base64url::decode(x.as_bytes()).filter(|bytes| bytes.len() == 32)?;
    Some(Material::Point(bytes.into()))
}
