// A server that sends whoever asks to another path of whatever host the client has asked: another server of the same gateway.
// usage: PORT=... node redirecting.mjs
import { createServer } from "node:http";

createServer((request, response) => {
  request.resume();
  response.writeHead(307, { location: "/bank/mcp", "content-length": "0" }).end();
}).listen(Number(process.env.PORT), "127.0.0.1");
