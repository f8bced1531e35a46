/** Two HTTPS APIs, each mocked by a proxy app: what `charge.mjs` talks to under test. */
import Fastify from 'fastify'
import fastifyProx from 'fastify-prox'

/** Mocks that listen, and what the program under test has had charged. */
export async function startMocks () {
  const app = Fastify()
  const charges = []

  await app.register(fastifyProx, {
    ca: { store: new Map() }, // in memory: a CA that nobody ever sees again
    proxyApps: {
      'api.frankfurter.dev': async (rates) => {
        rates.get('/v1/latest', async ({ query }) => ({ base: query.base, rates: { USD: 1.25 } }))
      },

      'api.stripe.com': async (payments) => {
        payments.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, async (request, body) => Object.fromEntries(new URLSearchParams(body)))
        payments.post('/v1/charges', async ({ headers, body }, reply) => {
          if (headers.authorization !== `Basic ${btoa('sk_test:')}`) {
            return reply.code(401).send({ error: { message: 'Invalid API Key provided' } })
          }
          charges.push(body)
          return { id: `ch_${charges.length}`, amount: Number(body.amount), currency: body.currency }
        })
      }
    }
  })

  // Nothing is forwarded: a host that has no mock shows here, and not on the bill.
  app.setNotFoundHandler(async ({ method, proxy }, reply) => reply.code(501).send({ error: { message: `no mock for ${method} ${proxy?.url}` } }))

  await app.listen({ port: 0 })
  return { app, charges }
}
