/** Refuses a client by a TLS alert, in place of a ServerHello. */
import { Alert } from './handshake'
import type { OutcomeReporter } from './outcome'
import type { Tunnel } from './tunnel'

type CodedError = Error & { code?: string, statusCode?: number }

/** Ends a tunnel whose host cannot be spoken for: because of the name, of the load, or of a fault of ours. */
export function refuse (tunnel: Tunnel, err: CodedError, reporter: OutcomeReporter): void {
  const { code = err.name, statusCode = 500 } = err
  const reason = `${tunnel.state === 'passing' ? 'not passed' : 'no certificate'}: ${err.message}`
  const ending = reporter.handshakeFailed(tunnel, { code, refused: false, reason })
  tunnel.ending = statusCode === 500 ? { ...ending, level: 'error', detail: { err } } : ending
  tunnel.socket.write(alertFor(code, statusCode))
  tunnel.socket.destroySoon()
}

const ACCESS_DENIED = new Set(['FST_PROX_CONNECT_REFUSED', 'FST_PROX_ADDRESS_REFUSED'])

function alertFor (code: string, statusCode: number): Buffer {
  if (ACCESS_DENIED.has(code)) return Alert.accessDenied
  return statusCode < 500 ? Alert.unrecognizedName : Alert.internalError
}
