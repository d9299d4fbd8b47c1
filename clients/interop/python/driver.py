"""Drives the published aiocometd-ng client for the Go tests one folder up.

    python driver.py '{"url":"http://localhost:8080/cometd","transport":"websocket"}'

The language is that of js/driver.mjs: commands as JSON lines on stdin, replies and events as JSON lines on stdout. The
URL must have a host name, because aiohttp keeps no cookies for the host of a bare address.
"""
import asyncio
import importlib.metadata
import json
import logging
import sys

from aiocometd_ng import Client, ConnectionType, Extension

ABOUT = {
    "kind": "about",
    "client": "aiocometd-ng",
    "version": importlib.metadata.version("aiocometd-ng"),
    "cannot": {
        "ack": "ships no acknowledgement extension",
        "batch": "has no call for a batch: each message is a request of its own",
    },
}


def tell(line):
    """Writes one line of the protocol."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


class Listener(Extension):
    """Tells the replies to meta messages as they come in."""

    def __init__(self):
        self.client = None

    async def outgoing(self, payload, headers):
        """Leaves what is sent as it is."""

    async def incoming(self, payload, headers=None):
        """Tells each meta reply of a payload."""
        for message in payload:
            if not message.get("channel", "").startswith("/meta/"):
                continue
            kind = self.client.connection_type
            tell({
                "kind": "meta",
                "channel": message["channel"],
                "ok": message.get("successful") is True,
                "clientId": message.get("clientId", ""),
                "subscription": message.get("subscription"),
                "error": message.get("error", ""),
                "advice": message.get("advice"),
                "transport": kind.value if kind else "",
            })


class Driver:
    """Carries out commands, in their order."""

    def __init__(self, options):
        listener = Listener()
        # The client's watch on its connection calls asyncio as Python 3.9 had it, so it is off.
        self.client = Client(options["url"], ConnectionType(options["transport"]), connection_timeout=0, extensions=[listener])
        listener.client = self.client
        self.receiver = None

    async def receive(self):
        """Tells the messages of subscriptions."""
        async for message in self.client:
            tell({"kind": "message", "channel": message["channel"], "data": message.get("data")})

    async def run(self, command):
        """Carries out one command."""
        cmd = command["cmd"]
        if cmd == "handshake":
            await self.client.open()
            self.receiver = asyncio.ensure_future(self.receive())
        elif cmd == "subscribe":
            await self.client.subscribe(command["channel"])
        elif cmd == "unsubscribe":
            await self.client.unsubscribe(command["channel"])
        elif cmd == "publish":
            await self.client.publish(command["channel"], command["data"])
        elif cmd == "disconnect":
            self.receiver.cancel()
            await self.client.close()
        else:
            raise ValueError("unknown command " + cmd)

    async def serve(self, lines):
        """Takes commands until stdin ends."""
        while line := await lines.readline():
            command = json.loads(line)
            reply = {"kind": "reply", "seq": command["seq"], "ok": True}
            try:
                await self.run(command)
            except Exception as error:  # pylint: disable=broad-except
                reply.update(ok=False, error=repr(error))
            tell(reply)


async def main():
    """Connects stdin to a driver."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    tell(ABOUT)
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    await Driver(json.loads(sys.argv[1])).serve(lines)


asyncio.run(main())
