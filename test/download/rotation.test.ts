/** While the CA is changed, the downloads and the client helpers give both certificates. */
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import t from 'tap'
import { CertificateAuthority } from '../../plugin/ca/authority'
import { start } from '../support/proxy'

const DOWNLOAD = 'http://fastify-prox/download'

t.test('both certificates in every form, and one again in the end', async (t) => {
  const store = new Map<string, string>()
  const proxy = await start(t, { prox: { ca: { store }, resolver: '/' } }, (app) => { app.get('/*', async () => 'ok') })
  const { app } = proxy
  const read = async (path: string): Promise<string> => (await proxy.get(`${DOWNLOAD}${path}`)).bytes.toString('latin1')
  const step = async (name: 'announce' | 'switch' | 'drop'): Promise<void> => {
    await CertificateAuthority.rotate({ store }, name)
    await app.proxyCA.refresh()
  }
  for (const file of ['pem', 'cer']) t.equal((await proxy.get(`${DOWNLOAD}/${file}/2`)).status, 404)
  t.notMatch(await read(''), 'The CA is being changed')
  const env = app.proxyEnv()
  t.equal(readFileSync(env.NODE_EXTRA_CA_CERTS, 'utf8'), app.proxyCA.certificatePem)
  t.equal((await app.proxyFetch('https://a.test/')).status, 200)

  await step('announce')
  const [signing, other] = app.proxyCA.certificates
  t.equal(await read('/pem'), signing!.pem + other!.pem)
  t.equal(new X509Certificate((await proxy.get(`${DOWNLOAD}/cer`)).bytes).fingerprint256, signing!.fingerprint256)
  t.equal(new X509Certificate((await proxy.get(`${DOWNLOAD}/cer/2`)).bytes).fingerprint256, other!.fingerprint256)
  t.equal(await read('/pem/2'), other!.pem)
  const p12 = (await proxy.get(`${DOWNLOAD}/p12`)).bytes
  t.ok(p12.includes(signing!.der) && p12.includes(other!.der))
  const profile = await read('/mobileconfig')
  for (const { der } of [signing!, other!]) t.match(profile, `<data>${der.toString('base64')}</data>`)
  t.equal(profile.split('com.apple.security.root').length, 3)
  const page = (await read('')).replaceAll('<wbr>', '')
  t.match(page, 'The CA is being changed')
  for (const { fingerprint256 } of [signing!, other!]) t.match(page, fingerprint256)
  t.match(await read('/env'), other!.pem.trim())
  const later = app.proxyEnv()
  t.equal(later.NODE_EXTRA_CA_CERTS, env.NODE_EXTRA_CA_CERTS, 'the file of programs that run')
  t.equal(readFileSync(later.NODE_EXTRA_CA_CERTS, 'utf8'), signing!.pem + other!.pem)
  t.match(readFileSync(later.SSL_CERT_FILE, 'utf8'), other!.pem)

  const dispatcher = app.proxyDispatcher()
  await step('switch')
  t.equal((await app.proxyFetch('https://a.test/')).status, 200, 'what was made before the switch trusts both')
  t.equal((await app.proxyFetch('https://b.test/', { dispatcher })).status, 200)
  await dispatcher.close()
  t.equal((await proxy.tls('a.test:443', { ca: other!.pem })).socket.authorized, true)

  await step('drop')
  t.equal(await read('/pem'), other!.pem)
  t.equal((await app.proxyFetch('https://a.test/')).status, 200)
  t.match(proxy.log.messages('warn'), [/signs now; clients should trust/, /signs now; clients/, /signs now$/])
})
