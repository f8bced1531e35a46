import type { TLSSocket } from 'node:tls'
import t from 'tap'
import { CertificateAuthority } from '../../plugin/ca/authority'
import { privateRoot, startForward, startSite } from './support'

t.test('trusts public and given authorities alone, and says which certificate it was', async (t) => {
  const site = await startSite(t, (_request, response) => response.end('ok'), { tls: {} })
  const proxy = await startForward(t, { ca: [] })
  const { status, body } = await proxy.get(`https://localhost:${site.port}/`)
  t.equal(status, 502)
  t.match(JSON.parse(body), {
    code: 'FST_PROX_UPSTREAM_TLS',
    message: /UNABLE_TO_GET_ISSUER|SELF_SIGNED|UNABLE_TO_VERIFY/
  })
  t.match(body, /localhost.*fastify-prox https proxy CA/)
  t.equal(site.seen.length, 0)
})

t.test('refuses the certificate of another host', async (t) => {
  const { key, cert } = await (await privateRoot()).issue('other.test')
  const site = await startSite(t, (_request, response) => response.end('ok'), { tls: { key, cert } })
  const proxy = await startForward(t)
  const { status, body } = await proxy.get(`https://localhost:${site.port}/`)
  t.strictSame([status, /ALTNAME/.test(body), /other\.test/.test(body)], [502, true, true])
})

t.test('verifies again when a session could be resumed', async (t) => {
  const site = await startSite(t, (_request, response) => {
    response.setHeader('connection', 'close').end('ok')
  }, { tls: {} })
  const proxy = await startForward(t)
  for (let i = 0; i < 3; i++) t.equal((await proxy.get(`https://localhost:${site.port}/`)).status, 200)
})

t.test('leaves one host unverified when that was spelt out for it', async (t) => {
  const site = await startSite(t, (_request, response) => response.end('ok'), { tls: {} })
  const other = await startSite(t, (_request, response) => response.end('ok'), { tls: {} })
  const proxy = await startForward(t, { ca: [], hosts: { [`localhost:${site.port}`]: { rejectUnauthorized: false } } })
  t.equal((await proxy.get(`https://localhost:${site.port}/`)).status, 200)
  t.equal((await proxy.get(`https://localhost:${other.port}/`)).status, 502)
})

t.test('shows a client certificate to the host that it is for', async (t) => {
  const root = await privateRoot()
  const { key, cert } = await (await CertificateAuthority.load({ store: new Map() })).issue('client.test')
  const site = await startSite(t, (request, response) => {
    response.end(String(Object.keys((request.socket as TLSSocket).getPeerCertificate()).length > 0))
  }, { tls: { requestCert: true, rejectUnauthorized: false } })
  const proxy = await startForward(t, { ca: [], hosts: { LOCALHOST: { key, cert, ca: root.certificatePem } } })
  t.equal((await proxy.get(`https://localhost:${site.port}/`)).body, 'true')
})
