/**
 * The events of fastify-prox as metrics of Prometheus. Labels are codes and the like, of which there are few: never the
 * name of a host or the address of a client, of which there are as many as clients choose to make up.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { Counter, Gauge, Histogram } from 'prom-client'

/** Codes are names in capital letters; whatever else an application's own errors have for one is not shown. */
const labelOf = (code) => /^[A-Z][A-Z0-9_]{0,79}$/.test(code ?? 'NONE') ? code ?? 'NONE' : 'OTHER'

/**
 * Counts what happens in this process from now on.
 * @param {import('prom-client').Registry} register where the metrics are shown
 * @returns {() => void} stops counting
 */
export function countEvents (register) {
  const counter = (name, help, labelNames = []) => new Counter({ name, help, labelNames, registers: [register] })
  const histogram = (name, help, buckets) => new Histogram({ name, help, buckets, registers: [register] })

  const open = new Gauge({ name: 'fastify_prox_tunnels_open', help: 'Tunnels that are open', registers: [register] })
  const opened = counter('fastify_prox_tunnels_opened_total', 'Tunnels that were opened', ['passed'])
  const refused = counter('fastify_prox_tunnels_refused_total', 'CONNECTs that were refused', ['status', 'code'])
  const closed = counter('fastify_prox_tunnels_closed_total', 'Tunnels that ended', ['code'])
  const duration = histogram('fastify_prox_tunnel_seconds', 'How long tunnels were open', [0.1, 1, 10, 60, 600, 3600])
  const requests = counter('fastify_prox_tunnel_requests_total', 'Requests in tunnels, counted at their end')
  const bytes = counter('fastify_prox_tunnel_bytes_total', 'Bytes of tunnels, counted at their end', ['direction'])
  const handshakes = counter('fastify_prox_handshakes_total', 'TLS handshakes', ['version', 'alpn', 'resumed'])
  const failures = counter('fastify_prox_handshake_failures_total', 'TLS handshakes that failed', ['code', 'refused'])
  const certificates = counter('fastify_prox_certificates_total', 'Certificates that were served', ['cache'])
  const minting = histogram('fastify_prox_mint_seconds', 'How long mints took', [0.001, 0.002, 0.005, 0.01, 0.05])
  const changes = counter('fastify_prox_ca_changes_total', 'Changes of the CA, announcements included')

  const listeners = {
    'tunnel:opened' ({ passed }) {
      open.inc()
      opened.inc({ passed })
    },
    'tunnel:refused' ({ statusCode, code }) { refused.inc({ status: statusCode, code: labelOf(code) }) },
    'tunnel:closed' (tunnel) {
      open.dec()
      closed.inc({ code: labelOf(tunnel.code) })
      duration.observe(tunnel.durationMs / 1000)
      requests.inc(tunnel.requests)
      bytes.inc({ direction: 'from_client' }, tunnel.bytesRead)
      bytes.inc({ direction: 'to_client' }, tunnel.bytesWritten)
    },
    'tunnel:intercepted' ({ tlsVersion, alpn, resumed }) {
      handshakes.inc({ version: tlsVersion, alpn: alpn ?? 'none', resumed })
    },
    'handshake:failed' ({ code, refused }) { failures.inc({ code: labelOf(code), refused }) },
    'certificate:minted' ({ durationMs }) {
      certificates.inc({ cache: 'miss' })
      minting.observe(durationMs / 1000)
    },
    'certificate:reused' () { certificates.inc({ cache: 'hit' }) },
    'ca:changed' () { changes.inc() }
  }
  for (const [name, listener] of Object.entries(listeners)) subscribe(`fastify-prox:${name}`, listener)
  return () => {
    for (const [name, listener] of Object.entries(listeners)) unsubscribe(`fastify-prox:${name}`, listener)
  }
}

/** When the CAs that clients should trust end, in seconds since the epoch; read when it is asked for. */
export function showAuthorities (register, ca) {
  return new Gauge({
    name: 'fastify_prox_ca_not_after_seconds',
    help: 'When the CA ends: the one that signs, and one that is announced or was switched from',
    labelNames: ['signs'],
    registers: [register],
    collect () {
      this.reset()
      for (const [i, { notAfter }] of ca.certificates.entries()) {
        this.set({ signs: String(i === 0) }, notAfter.getTime() / 1000)
      }
    }
  })
}
