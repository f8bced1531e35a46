"""Gets every URL of the command line in one session, or says hello to its WebSocket, and prints what it got."""
import asyncio
import sys
import aiohttp


async def main():
    async with aiohttp.ClientSession(trust_env=True, raise_for_status=True) as session:
        for url in sys.argv[1:]:
            if url.startswith('ws'):
                async with session.ws_connect(url) as socket:
                    await socket.send_str('hello')
                    print(await socket.receive_str(timeout=20))
            else:
                async with session.get(url) as response:
                    print(await response.text())

asyncio.run(main())
