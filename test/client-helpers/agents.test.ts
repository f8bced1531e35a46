/** Mocks in the same process for clients that take an agent: Node's own, or for older versions https-proxy-agent. */
import http from 'node:http'
import https from 'node:https'
import { text } from 'node:stream/consumers'
import axios from 'axios'
import type { FastifyInstance } from 'fastify'
import { HttpsProxyAgent } from 'https-proxy-agent'
import t from 'tap'
import type { Test } from 'tap'
import { start } from '../support/proxy'

interface Agents {
  readonly httpAgent: http.Agent
  readonly httpsAgent: https.Agent
}

/** @param proxy axios takes `false` as a word against the proxy of an agent of Node as well */
async function comes (t: Test, agents: (app: FastifyInstance) => Agents, proxy?: false): Promise<void> {
  const { app } = await start(t, { prox: { resolver: '/prefix/' } }, (app) => {
    app.get('/prefix/*', async ({ proxy }) => proxy!.url)
  })
  const { httpAgent, httpsAgent } = agents(app)
  for (const url of ['http://example.com/a', 'https://example.com/a']) {
    t.equal((await axios.get(url, { httpAgent, httpsAgent, proxy })).data, url)
  }
  const answer = await new Promise<string>((resolve, reject) => {
    https.get('https://example.com/b', { agent: httpsAgent }, (response) => resolve(text(response))).on('error', reject)
  })
  t.equal(answer, 'https://example.com/b')
}

const skip = !process.allowedNodeEnvironmentFlags.has('--use-env-proxy') &&
  'agents take proxyEnv from Node 22.21 and 24.5 on'

t.test('axios and node:https come to the proxy by an agent of Node', { skip }, async (t) => {
  await comes(t, (app) => {
    const options: object = { proxyEnv: app.proxyEnv(), ca: app.proxyCA.certificatePem }
    return { httpAgent: new http.Agent(options), httpsAgent: new https.Agent(options) }
  })
})

t.test('axios and node:https come to the proxy by https-proxy-agent', async (t) => {
  await comes(t, (app) => {
    const agent = new HttpsProxyAgent(app.proxyEnv().HTTPS_PROXY)
    // What its constructor takes is for the connection to the proxy alone.
    Object.assign(agent.options, { ca: app.proxyCA.certificatePem })
    return { httpAgent: agent, httpsAgent: agent as unknown as https.Agent }
  }, false)
})
