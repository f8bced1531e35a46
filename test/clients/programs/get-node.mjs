/** Gets every URL of the command line with node:http and node:https and an agent, and prints what it got. */
import { once } from 'node:events'
import http from 'node:http'
import https from 'node:https'
import { text } from 'node:stream/consumers'
import { HttpsProxyAgent } from 'https-proxy-agent'

const agent = new HttpsProxyAgent(process.env.HTTPS_PROXY, { keepAlive: true })
for (const url of process.argv.slice(2)) {
  const request = (url.startsWith('https:') ? https : http).get(url, { agent })
  const [response] = await once(request, 'response')
  if (response.statusCode !== 200) throw new Error(`${url}: ${response.statusCode}`)
  console.log(await text(response))
}
agent.destroy()
