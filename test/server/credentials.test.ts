/** `request.proxyCredentials`: what a request brought for the proxy, before anybody has accepted it. */
import t from 'tap'
import type { FastifyRequest } from 'fastify'
import { proxyAuthResolver } from '../../plugin/index'
import { basic } from '../support/basic'
import { start } from '../support/proxy'
import { PROX } from '../tunnel/support'

t.test('hooks of a CONNECT and of absolute-form see the credentials, accepted or not, and routes do not', async (t) => {
  const seen: unknown[] = []
  const note = ({ method, proxyCredentials }: FastifyRequest): void => { seen.push([method, proxyCredentials]) }
  const resolver = proxyAuthResolver({ validate: (username, password) => password === 'right' })
  const proxy = await start(t, { prox: { ...PROX, resolver } }, (app) => {
    app.addHook('onRequest', async (request) => note(request))
    app.get('/:user/*', async (request) => {
      note(request)
      return 'ok'
    })
  })
  const wrong = { username: 'jane', password: 'wrong' }
  const right = { username: 'jane', password: 'right' }

  t.match((await proxy.connect('example.com:443', basic('jane:wrong'))).response, { status: 407 })
  t.match((await proxy.connect('example.com:443')).response, { status: 407 })
  t.match((await proxy.connect('example.com:443', basic('no colon'))).response, { status: 407 })
  t.strictSame(seen.splice(0), [['CONNECT', wrong], ['CONNECT', null], ['CONNECT', null]])

  const client = await proxy.tls('example.com:443', {}, basic('jane:right'))
  t.equal((await client.ask('GET', '/a')).status, 200)
  t.strictSame(seen.splice(0), [['CONNECT', right], ['GET', null], ['GET', null]], 'which a tunnel has not')

  t.equal((await proxy.get('http://example.com/', basic('jane:wrong'))).status, 407)
  t.equal((await proxy.get('http://example.com/', basic('jane:right'))).status, 200)
  t.strictSame(seen.splice(0), [['GET', wrong], ['GET', right], ['GET', null]])

  await proxy.get('http://example.com/', basic('jürgen:right', 'latin1'))
  t.strictSame(seen.shift(), ['GET', { username: 'jürgen', password: 'right' }])
})
