import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { once } from 'node:events'
import http from 'node:http'
import type { Socket } from 'node:net'
import tls from 'node:tls'
import t from 'tap'
import { RawClient } from '../support/raw'
import { examplePath, startExample } from './example'

/** The names in labels that no client has chosen. */
const OWN_LABELS = /^(?:passed|status|code|direction|version|alpn|resumed|refused|cache|signs|le|quantile)$/

t.test('tunnels, refusals, handshakes, mints and bytes become metrics, and no host name does', async (t) => {
  const { port, lines, ca, stop } = await startExample(t, 'metrics', { METRICS_PORT: '0' })
  const url = /http:\S+/.exec(lines[2]!)![0]
  const connect = async (authority: string): Promise<{ status: number, socket: Socket }> => {
    const request = http.request({ host: 'localhost', port, method: 'CONNECT', path: authority, agent: false }).end()
    const [{ statusCode }, socket] = await once(request, 'connect') as [http.IncomingMessage, Socket]
    return { status: statusCode!, socket }
  }
  let session: Buffer | undefined
  const visit = async (host: string): Promise<void> => {
    const { socket } = await connect(`${host}:443`)
    const secure = tls.connect({ socket, servername: host, ca: ca(), session })
    secure.on('session', (received: Buffer) => { session = received })
    const client = new RawClient(t, secure)
    await client.ask('GET', '/', { host, connection: 'close' })
    await client.closed()
  }
  await visit('www.secret-host.test')
  await visit('www.secret-host.test')
  t.equal((await connect('secret-host.test:80')).status, 403)
  const { socket } = await connect('other.secret-host.test:443')
  const distrustful = tls.connect({ socket, servername: 'other.secret-host.test', ca: [] })
  await once(distrustful, 'error')
  const { socket: staying } = await connect('secret-host.test:443')
  t.teardown(() => staying.destroy())

  const read = async (): Promise<string> => await (await fetch(url)).text()
  let text = await read()
  while (!/fastify_prox_tunnels_open 1\n/.test(text) || !/handshake_failures_total\{/.test(text)) text = await read()
  for (const line of [
    'fastify_prox_tunnels_opened_total{passed="false"} 4',
    'fastify_prox_tunnels_refused_total{status="403",code="FST_PROX_CONNECT_REFUSED"} 1',
    'fastify_prox_tunnel_requests_total 2',
    'fastify_prox_handshakes_total{version="TLSv1.3",alpn="none",resumed="false"} 1',
    'fastify_prox_handshakes_total{version="TLSv1.3",alpn="none",resumed="true"} 1',
    'fastify_prox_certificates_total{cache="miss"} 1',
    'fastify_prox_certificates_total{cache="hit"} 2',
    'fastify_prox_mint_seconds_count 1'
  ]) t.match(text, line)
  t.match(text, /fastify_prox_handshake_failures_total\{code="\w+",refused="true"\} 1\n/)
  t.match(text, /fastify_prox_tunnel_bytes_total\{direction="from_client"\} [1-9]\d{2,}\n/)
  t.match(text, /fastify_prox_ca_not_after_seconds\{signs="true"\} \d+\n/)
  t.notMatch(text, /secret-host|127\.0\.0\.1|::1/)
  const ours = text.split('\n').filter((line) => line.startsWith('fastify_prox_'))
  const labels = ours.flatMap((line) => [...line.matchAll(/[{,](\w+)="/g)].map(([, name]) => name!))
  t.strictSame(labels.filter((name) => !OWN_LABELS.test(name)), [])

  const dashboard = readFileSync(join(examplePath('metrics'), 'dashboard.json'), 'utf8')
  const { panels } = JSON.parse(dashboard) as { panels: Array<{ targets: Array<{ expr: string }> }> }
  const expressions = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr))
  const asked = expressions.flatMap((expr) => expr.match(/\b(?:fastify_prox|nodejs)_\w+/g) ?? [])
  const shown = new Set([...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name))
  // What has not happened yet has a TYPE all the same; histograms have parts.
  t.strictSame(asked.filter((name) => !shown.has(name.replace(/_(?:bucket|count|sum)$/, ''))), [])
  t.ok(asked.length > 15)
  t.equal(await stop(), 0)
})
