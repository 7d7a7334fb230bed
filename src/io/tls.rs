//! stub
#![allow(missing_docs)]
use super::Conn;
use crate::base::Buf;
use std::io;
#[derive(Clone)]
pub struct TlsServer;
#[derive(Clone)]
pub struct TlsClient;
pub struct TlsInfo;
impl TlsServer { pub fn from_pem(_: &[u8], _: &[u8], _: Option<&[u8]>) -> Result<Self, String> { Err("no tls".into()) } }
impl TlsClient { pub fn new(_: Option<&[u8]>, _: Option<(&[u8], &[u8])>) -> Result<Self, String> { Err("no tls".into()) } }
pub async fn accept(_: &TlsServer, conn: Conn, _: Buf) -> io::Result<(Conn, TlsInfo)> { Ok((conn, TlsInfo)) }
pub async fn connect(_: &TlsClient, conn: Conn, _: &str) -> io::Result<(Conn, TlsInfo)> { Ok((conn, TlsInfo)) }
