"""A TCP forwarder that writes down what passes, byte for byte: for `--record`, to see where two talks differ."""

import asyncio
import threading
import time
from pathlib import Path


def tap(port: int, log: Path) -> int:
    """Forwards a new port to `port`, recording into `log`; returns the new port. Lives as long as the process."""
    ready: list[int] = []
    opened = threading.Event()

    async def listen() -> None:
        connections = 0
        with log.open("ab", buffering=0) as record:

            async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                nonlocal connections
                connections += 1
                await forward(connections, reader, writer, port, record)

            server = await asyncio.start_server(accept, "127.0.0.1", 0)
            ready.append(server.sockets[0].getsockname()[1])
            opened.set()
            await server.serve_forever()

    threading.Thread(target=lambda: asyncio.run(listen()), daemon=True).start()
    opened.wait()
    return ready[0]


async def forward(connection, reader, writer, port, record) -> None:
    def note(arrow: str, data: bytes) -> None:
        record.write(f"\n### {time.time():.3f} connection {connection} {arrow} {len(data)} bytes\n".encode() + data)

    try:
        onward_reader, onward_writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError as error:
        note("refused", str(error).encode())
        writer.close()
        return

    async def pump(source, sink, arrow: str) -> None:
        try:
            while data := await source.read(65536):
                note(arrow, data)
                sink.write(data)
                await sink.drain()
            note(arrow + " end", b"")
        except OSError as error:
            note(arrow + " broken", str(error).encode())
        # Either side going means the connection has gone: clients that cancel by closing must be seen.
        writer.close()
        onward_writer.close()

    await asyncio.gather(pump(reader, onward_writer, "client >"), pump(onward_reader, writer, "< server"))
