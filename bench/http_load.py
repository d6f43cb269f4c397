"""A load generator in a process of its own: some connections that ask again as soon as they are answered.

    python bench/http_load.py HOST PORT PATH BODY_FILE CONTENT_TYPE CONNECTIONS SECONDS

It prints one JSON document: requests a second, p50, p90, p99 and the largest latency in milliseconds, statuses. It
speaks plain HTTP/1.1 over sockets, since a full client would cost more than the servers do. ``asked`` counts the
warm-up too.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path


async def ask(host: str, port: int, request: bytes, until: float, took: list[float], statuses: dict[str, int]) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    while time.perf_counter() < until:
        began = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(length)
        took.append(time.perf_counter() - began)
        status = head[9:12].decode()
        statuses[status] = statuses.get(status, 0) + 1
    writer.close()


async def load(host: str, port: int, path: str, body: bytes, kind: str, connections: int, seconds: float) -> dict:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    took: list[float] = []
    statuses: dict[str, int] = {}
    warm = time.perf_counter() + min(1.0, seconds)
    warmed: list[float] = []
    await asyncio.gather(*(ask(host, port, head.encode() + body, warm, warmed, {}) for _ in range(connections)))
    began = time.perf_counter()
    asking = (ask(host, port, head.encode() + body, began + seconds, took, statuses) for _ in range(connections))
    await asyncio.gather(*asking)
    wall = time.perf_counter() - began
    took.sort()
    at = {f"p{q}": round(1000 * took[min(len(took) - 1, int(len(took) * q / 100))], 3) for q in (50, 90, 99)}
    return {
        "rps": len(took) / wall,
        **at,
        "max": round(1000 * took[-1], 3),
        "asked": len(took) + len(warmed),
        "statuses": statuses,
    }


def main() -> None:
    host, port, path, file, kind, connections, seconds = sys.argv[1:]
    try:
        import uvloop

        uvloop.install()
    except ImportError:
        pass
    body = Path(file).read_bytes()
    print(json.dumps(asyncio.run(load(host, int(port), path, body, kind, int(connections), float(seconds)))))


if __name__ == "__main__":
    main()
