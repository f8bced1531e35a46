/** Gets every URL of the command line with undici, or says hello to its WebSocket, and prints what it got. */
import { once } from 'node:events'
import { EnvHttpProxyAgent, request, setGlobalDispatcher, WebSocket } from 'undici'

setGlobalDispatcher(new EnvHttpProxyAgent())

for (const url of process.argv.slice(2)) {
  if (url.startsWith('ws')) {
    const socket = new WebSocket(url)
    await once(socket, 'open')
    socket.send('hello')
    const [{ data }] = await once(socket, 'message')
    console.log(data)
    socket.close()
  } else {
    const { statusCode, body } = await request(url)
    if (statusCode !== 200) throw new Error(`${url}: ${statusCode}`)
    console.log(await body.text())
  }
}
