"""A TCP relay that holds back what passes for half a round trip in each way, and limits nothing else."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection

PIECE = 256 * 1024


@contextmanager
def relay(
    host: str, port: int, round_trip: float, *, at: str = "127.0.0.1", ports: Sequence[int] = ()
) -> Iterator[int]:
    """The port of a relay to a server, in a process of its own; ``round_trip`` in seconds.

    It listens on ``at``. With ``ports`` it relays each of them to the same one of the server: those of FTP's data.
    """
    if not round_trip:
        yield port
        return
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=serve, args=(host, port, round_trip / 2, theirs, at, ports), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        process.kill()  # it serves until then
        process.join()


def serve(  # noqa: PLR0917
    host: str, port: int, delay: float, told: Connection, at: str, ports: Sequence[int]
) -> None:
    """Relay until the process ends."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        held: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def out() -> None:
            while True:
                due, piece = await held.get()
                await asyncio.sleep(max(0.0, due - loop.time()))
                if not piece:
                    if writer.can_write_eof():
                        writer.write_eof()
                    return
                writer.write(piece)
                await writer.drain()

        sender = asyncio.create_task(out())
        try:
            while True:
                piece = await reader.read(PIECE)
                held.put_nowait((loop.time() + delay, piece))
                if not piece:
                    break
            await sender
        except OSError:
            sender.cancel()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to = writer.get_extra_info("sockname")[1] if ports else port
        try:
            there, back = await asyncio.open_connection(host, to, limit=16 * PIECE)
        except OSError:
            writer.transport.abort()
            return
        both = asyncio.gather(pump(reader, back), pump(there, writer))
        serving.add(both)  # the loop itself keeps no task alive
        both.add_done_callback(serving.discard)
        await both
        back.close()
        writer.close()

    serving: set[asyncio.Future[tuple[None, None]]] = set()

    async def main() -> None:
        servers = [await asyncio.start_server(connected, at, each, limit=16 * PIECE) for each in ports or (0,)]
        told.send(servers[0].sockets[0].getsockname()[1])
        await asyncio.gather(*(server.serve_forever() for server in servers))

    asyncio.run(main())
