/** Gets every URL of the command line with got, and prints what it got. */
import got from 'got'
import { HttpsProxyAgent } from 'https-proxy-agent'

// In spite of its name it opens a tunnel for http as well.
const agent = new HttpsProxyAgent(process.env.HTTPS_PROXY, { keepAlive: true })
const options = { agent: { http: agent, https: agent }, retry: { limit: 0 } }
for (const url of process.argv.slice(2)) console.log(await got(url, options).text())
agent.destroy()
