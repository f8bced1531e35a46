/** Says hello to the WebSocket of every URL of the command line with ws, and prints what it got. */
import { once } from 'node:events'
import { HttpsProxyAgent } from 'https-proxy-agent'
import WebSocket from 'ws'

for (const url of process.argv.slice(2)) {
  const socket = new WebSocket(url, { agent: new HttpsProxyAgent(process.env.HTTPS_PROXY) })
  await once(socket, 'open')
  socket.send('hello')
  const [message] = await once(socket, 'message')
  console.log(message.toString())
  socket.close()
}
