//! TLS over any connection, by rustls.
//!
//! [`accept`] and [`connect`] take a plain [`Conn`] and return an encrypted one, which the data plane uses
//! like any other. The end of the incoming stream is read as 0 only if the peer has announced it (close_notify);
//! otherwise it is an error of kind `UnexpectedEof`, for the stream may have been cut by anybody.
//!
//! To end the outgoing stream so that the peer can tell, hang up with [`Direction::Write`](super::Direction)
//! and read to the end before dropping the connection: the close_notify is sent by whichever lane is polled.
#![forbid(unsafe_code)]

mod config;
mod lanes;
mod session;
#[cfg(test)]
mod tests;

use std::io;

use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::server::UnbufferedServerConnection;
use rustls::{Error, HandshakeKind};

use super::Conn;
use crate::base::Buf;
pub use config::{Identity, TlsClient, TlsServer};
use session::{Engine, Session, give_buf, take_buf};

/// What a handshake has settled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsInfo {
    /// The server name that the client asked for (SNI).
    pub sni: Option<String>,
    /// The application protocol, if one was negotiated (ALPN).
    pub alpn: Option<Vec<u8>>,
    /// The client's certificates, its own first, where they were asked for and verified. On a client: always empty.
    pub client_chain_der: Vec<Vec<u8>>,
    /// `TLSv1_2` or `TLSv1_3`.
    pub version: &'static str,
    /// The cipher suite: its IANA name, with `TLS13_` in place of `TLS_` for TLS 1.3.
    pub cipher: &'static str,
    /// An earlier session was resumed: no certificate was sent.
    pub resumed: bool,
}

/// Room for one flight of a handshake; longer ones grow it.
const FLIGHT_BYTES: usize = 2 << 10;

/// Shakes hands with a client. `already_read` is what was read from `conn` before TLS began, behind a PROXY
/// header for instance. The caller bounds the time, by dropping the future.
///
/// # Errors
/// Those of the connection, and `InvalidData` where the peer is refused or refuses: it was sent an alert then.
pub async fn accept(server: &TlsServer, conn: Conn, already_read: Buf) -> io::Result<(Conn, TlsInfo)> {
    let connection =
        UnbufferedServerConnection::new(server.config.clone()).map_err(|error| protocol_error(&error))?;
    let mut session = Session::new(Engine::Server(connection), Buf::none());
    session.feed(already_read);
    let (conn, session, sni) = shake_hands(conn, session).await?;
    let mut info = describe(&session);
    info.sni = sni;
    let chain = session.facts().peer_certificates().unwrap_or_default();
    info.client_chain_der = chain.iter().map(|certificate| certificate.to_vec()).collect();
    Ok((lanes::wrap(conn, session), info))
}

/// Shakes hands with the server `server_name`: a DNS name or an IP address, which its certificate must bear.
/// The caller bounds the time, by dropping the future.
///
/// A server that refuses this client's certificate under TLS 1.3 says so later: the first read fails.
///
/// # Errors
/// As [`accept`], and `InvalidInput` if `server_name` is neither a DNS name nor an address.
pub async fn connect(client: &TlsClient, conn: Conn, server_name: &str) -> io::Result<(Conn, TlsInfo)> {
    let name = ServerName::try_from(server_name.to_owned())
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, format!("{server_name:?}: {error}")))?;
    let connection =
        UnbufferedClientConnection::new(client.0.clone(), name).map_err(|error| protocol_error(&error))?;
    let session = Session::new(Engine::Client(connection), Buf::none());
    let (conn, session, _) = shake_hands(conn, session).await?;
    let mut info = describe(&session);
    info.sni = Some(server_name.to_owned());
    Ok((lanes::wrap(conn, session), info))
}

async fn shake_hands(mut conn: Conn, mut session: Session) -> io::Result<(Conn, Session, Option<String>)> {
    let mut sni = None;
    loop {
        let step = session.shake();
        sni = config::take_asked_name().or(sni);
        if matches!(step, Ok(true)) && session.is_answered() {
            // Only tickets are left to be sent. They leave with the first read or write, for a client that
            // sends its request before it reads must not be waited for.
            return Ok((conn, session, sni));
        }
        if let Some(buf) = session.take_outgoing() {
            let (sent, buf) = conn.writer.send(buf).await;
            give_buf(buf);
            // What the handshake failed of tells more than that the alert could not be sent.
            if step.is_ok() {
                sent?;
            }
        }
        if step.map_err(|error| protocol_error(&error))? {
            return Ok((conn, session, sni));
        }
        conn.reader.arm(take_buf(FLIGHT_BYTES.max(session.missing())));
        let (count, buf) = conn.reader.read().await;
        if count? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        session.feed(buf);
    }
}

fn describe(session: &Session) -> TlsInfo {
    let facts = session.facts();
    TlsInfo {
        alpn: facts.alpn_protocol().map(<[u8]>::to_vec),
        version: facts.protocol_version().and_then(|version| version.as_str()).unwrap_or_default(),
        cipher: facts.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).unwrap_or_default(),
        resumed: facts.handshake_kind() == Some(HandshakeKind::Resumed),
        ..TlsInfo::default()
    }
}

fn protocol_error(error: &Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("TLS: {error}"))
}
