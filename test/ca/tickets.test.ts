/** TLS sessions resume wherever the CA is the same. */
import t from 'tap'
import { CertificateAuthority } from '../../plugin/ca/authority'
import type { CertificateAuthorityOptions } from '../../types/ca'
import { handshake, serve } from './loopback'

const HOST = 'www.example.com'
const HOUR = 3_600_000

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  for (const keyType of ['ec', 'rsa'] as const) {
    t.test(`${version} resumes on a second connection, after a restart, elsewhere (${keyType})`, async (t) => {
      const store = new Map<string, string>()
      const one = await CertificateAuthority.load({ store, keyType })
      const client = { ca: one.certificatePem, servername: HOST, minVersion: version, maxVersion: version }
      const portOne = await serve(t, async () => await one.secureContext(HOST))
      const first = await handshake(portOne, client)
      t.equal(first.protocol, version)
      t.notOk(first.resumed)
      const second = await handshake(portOne, { ...client, session: first.session })
      t.ok(second.resumed, 'on a second connection')
      const two = await CertificateAuthority.load({ store })
      const portTwo = await serve(t, async () => await two.secureContext(HOST))
      t.not(await two.certificate(HOST), await one.certificate(HOST))
      t.ok(
        (await handshake(portTwo, { ...client, session: first.session })).resumed,
        'with another authority that has the same key'
      )
      t.notOk((await handshake(portTwo, client)).resumed)
    })
  }
}

t.test('a session is good for one host and one CA', async (t) => {
  const one = await CertificateAuthority.load({ store: new Map(), wildcards: false })
  const other = await CertificateAuthority.load({ store: new Map(), wildcards: false })
  const client = { ca: [one.certificatePem, other.certificatePem] }
  const first = await handshake(
    await serve(t, async () => await one.secureContext(HOST)), { ...client, servername: HOST }
  )
  const elsewhere = await serve(t, async () => await one.secureContext('api.example.com'))
  t.notOk((await handshake(elsewhere, { ...client, servername: 'api.example.com', session: first.session })).resumed)
  const stranger = await serve(t, async () => await other.secureContext(HOST))
  t.notOk((await handshake(stranger, { ...client, servername: HOST, session: first.session })).resumed)
})

t.test('keys are replaced every 12 hours, certificates are not', async (t) => {
  let now = Math.floor(Date.now() / (12 * HOUR)) * 12 * HOUR
  t.intercept(Date, 'now', { value: () => now })
  const store = new Map<string, string>()
  const one = await CertificateAuthority.load({ store })
  const port = await serve(t, async () => await one.secureContext(HOST))
  const client = { ca: one.certificatePem, servername: HOST }
  const leaf = await one.leaf(HOST)
  const { session } = await handshake(port, client)
  now += 12 * HOUR - 1
  t.equal(one.leaf(HOST), leaf, 'the last millisecond of the period')
  t.ok((await handshake(port, { ...client, session })).resumed)
  now += 1
  const renewed = await one.leaf(HOST)
  t.not(renewed.secureContext, leaf.secureContext)
  t.equal(renewed.pem, leaf.pem)
  t.equal(one.leaf(HOST), renewed)
  const later = await handshake(port, { ...client, session })
  t.notOk(later.resumed)
  t.ok((await handshake(port, { ...client, session: later.session })).resumed)
  const two = await CertificateAuthority.load({ store })
  t.ok((await handshake(
    await serve(t, async () => await two.secureContext(HOST)), { ...client, session: later.session }
  )).resumed, 'the period is the same for everyone')
})

t.test('the option tls has the last word on tickets', async (t) => {
  const tls: CertificateAuthorityOptions['tls'] = {
    ticketKeys: Buffer.alloc(48, 1), sessionIdContext: 'own', sessionTimeout: 60
  }
  const [one, two] = await Promise.all(
    [1, 2].map(async () => await CertificateAuthority.load({ store: new Map(), tls }))
  )
  const client = { ca: [one!.certificatePem, two!.certificatePem], servername: HOST }
  const { session } = await handshake(await serve(t, async () => await one!.secureContext(HOST)), client)
  t.ok(
    (await handshake(await serve(t, async () => await two!.secureContext(HOST)), { ...client, session })).resumed,
    'shared by two CAs'
  )
})
