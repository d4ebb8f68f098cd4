"""Members of a room who like once a second each, and whether all of them end with the same, right number.

    pip install websockets
    python members.py ws://127.0.0.1:8080/ws hall sigs.tsv 10

The arguments: address, room (it must exist, and be free to join), a file of users (userID, tab, userSig), seconds.
It keeps to the throttle of a server with its usual limits: one write a second of each user.
"""

import asyncio
import itertools
import json
import sys
import time

import websockets

ADDRESS, ROOM, SIGS, SECONDS = sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])
CALM_SECONDS = 1.0


class Member:
    def __init__(self, user, sig):
        self.user, self.sig = user, sig
        self.ids = itertools.count(1)
        self.open = {}
        self.answered_ms = []
        self.refused = []
        self.held = None

    async def ask(self, cmd, **fields):
        """Sends a command and waits for its answer; answers and pushes come on the same socket."""
        number = next(self.ids)
        answer = self.open[number] = asyncio.get_running_loop().create_future()
        await self.socket.send(json.dumps({"id": number, "cmd": cmd, **fields}))
        async with asyncio.timeout(10):
            return await answer

    async def read(self):
        async for frame in self.socket:
            message = json.loads(frame)
            if message.get("event") == "GROUP_COUNTER_UPDATED":
                self.held = message["data"]["value"]
            elif message.get("id") in self.open:
                self.open.pop(message["id"]).set_result(message)

    async def like(self, until):
        """Every write has a name of its own, so that it may be sent again without counting twice."""
        while time.monotonic() < until:
            due = time.monotonic()
            answer = await self.ask("increaseGroupCounter", groupID=ROOM, key="like", value=1, opID=f"{due}-{self.user}")
            if answer["code"] == 0:
                self.answered_ms.append((time.monotonic() - due) * 1000)
            else:
                self.refused.append(answer["code"])
            await asyncio.sleep(max(0.0, due + 1 - time.monotonic()))

    async def run(self, everybody_in):
        # The gateway speaks no compression; not offering it saves both sides a little.
        async with websockets.connect(ADDRESS, compression=None) as self.socket:
            reading = asyncio.create_task(self.read())
            for answer in (
                await self.ask("login", userID=self.user, userSig=self.sig),
                joined := await self.ask("joinGroup", groupID=ROOM),
            ):
                if answer["code"] != 0:
                    sys.exit(f"{self.user}: {answer['message']}")
            self.held = joined["data"]["counters"].get("like", 0)
            before = self.held
            await everybody_in.wait()
            await self.like(time.monotonic() + SECONDS)
            # The newest value always arrives; a second is long for it.
            await asyncio.sleep(CALM_SECONDS)
            counters = (await self.ask("getGroupCounters", groupID=ROOM))["data"]["counters"]
            reading.cancel()
            return before, counters["like"]


async def main():
    lines = [line.rstrip("\n").split("\t") for line in open(SIGS)]
    members = [Member(user, sig) for user, sig in lines]
    everybody_in = asyncio.Barrier(len(members))
    ends = await asyncio.gather(*(member.run(everybody_in) for member in members))
    before, after = min(first for first, _ in ends), max(last for _, last in ends)
    answered = sorted(ms for member in members for ms in member.answered_ms)
    refused = [code for member in members for code in member.refused]
    print(f"{len(members)} members, {len(answered)} writes answered, refused: {refused or 'none'}")
    print(f"answer p50 {answered[len(answered) // 2]:.1f} ms, p99 {answered[int(len(answered) * 0.99)]:.1f} ms")
    stale = [member.user for member in members if member.held != after]
    print(f"counter {before} -> {after}: {after - before} counted; members with another value: {stale or 'none'}")
    sys.exit(0 if after - before == len(answered) and not stale else 1)


asyncio.run(main())
