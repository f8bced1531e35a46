/** Intercepts proxied requests with an `Upgrade` field: WebSocket handshakes are routed, anything else is ignored. */
import type { EventEmitter } from 'node:events'
import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { takeOver } from '../compat/listeners'
import { whenAnswered } from '../compat/pipelining'
import { decideUpgrades, knowsUpgradeCallback, replayWithoutUpgrade } from '../compat/upgrade'
import { proxiedUrl } from '../http/target'
import { asksForWebSocket } from '../http/upgrade'
import type { ProxyRouter } from '../routing/proxy-router'

/** Hands an upgrade to the listeners that the server had. */
export type DispatchUpgrade = (raw: IncomingMessage, socket: Duplex, head: Buffer) => void

/**
 * Routes the proxied WebSocket handshakes of a server, and leaves direct upgrades to the listeners that it has.
 * @param websockets whether proxied ones are routed, or ignored as all others
 * @returns what hands an upgrade to those listeners; `null`: there are none
 */
export function interceptUpgrades (
  server: EventEmitter, router: ProxyRouter, websockets: boolean
): DispatchUpgrade | null {
  const isTaken = (raw: IncomingMessage): boolean => websockets && asksForWebSocket(raw)
  let dispatch: DispatchUpgrade | null = null

  takeOver<Parameters<DispatchUpgrade>>(server, 'upgrade', (inherited) => {
    dispatch = inherited
    return (raw, socket, head) => {
      const url = proxiedUrl(raw)
      if (url === null) return inherited(raw, socket, head)
      whenAnswered(raw.socket, () => {
        if (!knowsUpgradeCallback(server) && !isTaken(raw)) return replayWithoutUpgrade(server as Server, raw, head)
        routeUpgrade(router.routeAbsolute(raw, url, true), raw, socket, head, inherited)
      })
    }
  })
  decideUpgrades(server, (raw, inherited) => proxiedUrl(raw) === null ? inherited() : dispatch !== null && isTaken(raw))
  return dispatch
}

/** Dispatches an upgrade when it has been routed; until then nobody else listens to the socket. */
export function routeUpgrade (
  routing: void | Promise<void>, raw: IncomingMessage, socket: Duplex, head: Buffer, dispatch: DispatchUpgrade
): void {
  socket.on('error', () => socket.destroy())
  if (routing === undefined) dispatch(raw, socket, head)
  else routing.then(() => dispatch(raw, socket, head))
}
