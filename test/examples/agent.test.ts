import t from 'tap'
import { startExample } from './example'
import { connect } from '../support/raw'
import { secure } from '../support/proxy'
import { privateRoot, startSite } from '../forward/support'

t.test('lets an agent talk to the hosts of the list, and puts the secret in and takes it out', async (t) => {
  const site = await startSite(t, (request, response) => {
    response.setHeader('x-echo', String(request.headers.authorization))
    response.write('key: s3cr')
    response.end(`3t, and ${request.headers.authorization}`)
  }, { tls: {} })
  const { port, ca } = await startExample(t, 'agent', {
    HOSTS: '127.0.0.1',
    API_HOST: 'localhost',
    API_KEY: 's3cr3t',
    ALLOW: '127.0.0.0/8,::1',
    NODE_EXTRA_CA_CERTS: 'site.pem'
  }, { 'site.pem': (await privateRoot()).certificatePem })
  const client = async (authority: string) => {
    const tunnel = await connect(t, { host: 'localhost', port })
    tunnel.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`)
    await tunnel.response('CONNECT')
    return await secure(t, tunnel.detach(), authority, { ca: ca() })
  }
  const authority = `localhost:${site.port}`
  const { status, body, headers } = await (await client(authority)).ask('GET', '/', {
    host: authority,
    authorization: 'Bearer none'
  })
  t.strictSame([status, body, headers['x-echo']], [200, 'key: ******, and Bearer ******', 'Bearer ******'])
  t.equal(site.seen[0]!.headers.authorization, 'Bearer s3cr3t')

  const plain = await startSite(t, (request, response) => response.end(String(request.headers.authorization)))
  const ask = async (url: string) => await (await connect(t, { host: 'localhost', port })).ask('GET', url)
  t.strictSame((await ask(`http://127.0.0.1:${plain.port}/`)).body, 'undefined')
  t.equal((await ask(`http://localhost:${plain.port}/`)).status, 403, 'the secret goes over TLS alone')
  t.equal((await ask('http://elsewhere.test/')).status, 403)
  t.equal((await (await client('elsewhere.test:443')).ask('GET', '/', { host: 'elsewhere.test' })).status, 403)
  t.equal(plain.seen.length, 1)
})
