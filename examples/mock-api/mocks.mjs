/**
 * Two HTTPS APIs, each mocked by a proxy app: what `charge.mjs` talks to under test. `npx fastify-prox run mocks.mjs --
 * command` runs a program behind them.
 */
import Fastify from 'fastify'
import fastifyProx from 'fastify-prox'

/** What the program under test has had charged. */
export const charges = []

const mocks = {
  'api.frankfurter.dev': async (rates) => {
    rates.get('/v1/latest', async ({ query }) => ({ base: query.base, rates: { USD: 1.25 } }))
  },

  'api.stripe.com': async (payments) => {
    const form = 'application/x-www-form-urlencoded'
    payments.addContentTypeParser(form, { parseAs: 'string' }, async (request, body) => {
      return Object.fromEntries(new URLSearchParams(body))
    })
    payments.post('/v1/charges', async ({ headers, body }, reply) => {
      if (headers.authorization !== `Basic ${btoa('sk_test:')}`) {
        return reply.code(401).send({ error: { message: 'Invalid API Key provided' } })
      }
      charges.push(body)
      return { id: `ch_${charges.length}`, amount: Number(body.amount), currency: body.currency }
    })
  }
}

export default mocks

/** Mocks that listen, for tests that look at what was charged. */
export async function startMocks () {
  const app = Fastify()
  charges.length = 0

  // The CA is in memory: nobody ever sees it again.
  await app.register(fastifyProx, { ca: { store: new Map() }, proxyApps: mocks })

  // Nothing is forwarded: a host that has no mock shows here, and not on the bill.
  app.setNotFoundHandler(async ({ method, proxy }, reply) => {
    return reply.code(501).send({ error: { message: `no mock for ${method} ${proxy?.url}` } })
  })

  await app.listen({ port: 0 })
  return { app, charges }
}
