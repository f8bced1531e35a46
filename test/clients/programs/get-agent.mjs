/** Gets every URL of the command line with node:http and node:https and agents of its own, and prints what it got. */
import { once } from 'node:events'
import http from 'node:http'
import https from 'node:https'
import { text } from 'node:stream/consumers'

const agents = { 'http:': new http.Agent({ keepAlive: true }), 'https:': new https.Agent({ keepAlive: true }) }
for (const url of process.argv.slice(2)) {
  const { protocol } = new URL(url)
  const request = (protocol === 'https:' ? https : http).get(url, { agent: agents[protocol] })
  const [response] = await once(request, 'response')
  if (response.statusCode !== 200) throw new Error(`${url}: ${response.statusCode}`)
  console.log(await text(response))
}
for (const agent of Object.values(agents)) agent.destroy()
