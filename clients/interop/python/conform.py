"""Puts the published aiocometd-ng client under the command of `halley conform --client`.

    halley conform --client --shared --host localhost -- .venv/bin/python conform.py

docs/CONFORMANCE_CLIENTS.md describes the language of such drivers. The server must be known by a host name, because
aiohttp keeps no cookies for the host of a bare address.
"""
import asyncio
import importlib.metadata
import json
import logging
import sys

from aiocometd_ng import Client, ConnectionType
from aiocometd_ng.exceptions import AiocometdException, ClientInvalidOperation

CONTROL, DATA = "/bx/control", "/bx/data"


def tell(line):
    """Writes one line of the protocol."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


class App:
    """The application of one job."""

    def __init__(self, job):
        self.name = job["client"]
        self.url = job["url"]
        self.kinds = list(ConnectionType) if job["transport"] == "any" else ConnectionType(job["transport"])
        self.client = None
        self.pause = job["backoff"] / 1000
        self.work = set()
        self.spawn(self.run())

    def say(self, **event):
        """Tells an event."""
        tell({"client": self.name, **event})

    def spawn(self, work):
        """Does something beside the rest."""
        task = asyncio.ensure_future(work)
        self.work.add(task)
        task.add_done_callback(self.work.discard)

    async def outcome(self, kind, call, **rest):
        """Tells what became of a call."""
        try:
            await call
            self.say(kind=kind, ok=True, **rest)
        except Exception as error:  # pylint: disable=broad-except
            self.say(kind=kind, ok=False, error=repr(error), **rest)

    async def run(self):
        """Shakes hands, subscribes, and goes on after errors for as long as the client is open."""
        while True:
            # One that failed to open cannot be opened again. The client's watch on its connection calls asyncio as
            # Python 3.9 had it, so it is off.
            self.client = Client(self.url, self.kinds, connection_timeout=0)
            try:
                await self.client.open()
                break
            except AiocometdException as error:
                self.say(kind="down", error=repr(error))
                if getattr(error, "response", None):
                    self.say(kind="end")  # a refusal: the client leaves it to the application, which gives up
                    return
                await asyncio.sleep(self.pause)
        self.say(kind="up")
        for channel in (CONTROL, DATA):
            await self.outcome("subscribed", self.client.subscribe(channel), channel=channel)
        while not self.client.closed:
            try:
                self.take(await self.client.receive())
            except ClientInvalidOperation:
                break
            except AiocometdException as error:
                self.say(kind="down", error=repr(error))
        self.say(kind="end")

    def take(self, message):
        """Takes a message of a subscription."""
        if message["channel"] not in self.client.subscriptions:
            return
        if message["channel"] != CONTROL:
            self.say(kind="message", channel=message["channel"], data=message.get("data"))
            return
        command = message["data"]
        channel, data = command.get("channel"), command.get("data")
        if command["do"] == "publish":
            self.spawn(self.outcome("published", self.client.publish(channel, data), channel=channel, data=data))
        elif command["do"] == "subscribe":
            self.spawn(self.outcome("subscribed", self.client.subscribe(channel), channel=channel))
        elif command["do"] == "unsubscribe":
            self.spawn(self.outcome("unsubscribed", self.client.unsubscribe(channel), channel=channel))
        elif command["do"] == "disconnect":
            self.spawn(self.client.close())

    async def stop(self):
        """Ends the application."""
        for task in list(self.work):
            task.cancel()
        try:
            if self.client:
                await asyncio.wait_for(self.client.close(), 1)
        except Exception:  # pylint: disable=broad-except
            pass  # its server is gone


async def main():
    """Starts and stops applications until stdin ends."""
    logging.basicConfig(stream=sys.stderr, level=logging.ERROR, format="%(asctime)s %(name)s %(message)s")
    tell({
        "kind": "about",
        "client": "aiocometd-ng",
        "version": importlib.metadata.version("aiocometd-ng"),
        "cannot": {
            "ack": "ships no acknowledgement extension",
            "down": "its watch on the connection does not run on this Python",
        },
    })
    apps = {}
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        job = json.loads(line)
        if job["cmd"] == "start":
            apps[job["client"]] = App(job)
        elif job["cmd"] == "stop" and job["client"] in apps:
            asyncio.ensure_future(apps.pop(job["client"]).stop())


asyncio.run(main())
