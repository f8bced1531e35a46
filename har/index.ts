/** `require('fastify-prox/har')`: the plugin itself, also as `default` and by name, and the proxy app that replays. */
import type * as types from '../types/har'
import { replayApp } from './app'
import { fastifyProxHar as plugin } from './plugin'

const fastifyProxHar: typeof plugin & {
  readonly default: typeof plugin
  readonly fastifyProxHar: typeof plugin
  /**
   * A proxy app that answers every request of a HAR file, and never asks the network.
   * @param file its path
   * @throws FST_PROX_INVALID_OPTION, FST_PROX_UNKNOWN_OPTION; FST_PROX_HAR_UNREADABLE when the app is loaded
   * @example app.register(prox, { proxyApps: { 'api.stripe.com': har.replay('fixtures/stripe.har') } })
   */
  readonly replay: typeof replayApp
} = Object.assign(plugin, { default: plugin, fastifyProxHar: plugin, replay: replayApp })

declare namespace fastifyProxHar {
  export type HarContent = types.HarContent
  export type HarCookie = types.HarCookie
  export type HarEntry = types.HarEntry
  export type HarMatch = types.HarMatch
  export type HarMatchRequest = types.HarMatchRequest
  export type HarMode = types.HarMode
  export type HarNearest = types.HarNearest
  export type HarOptions = types.HarOptions
  export type HarPair = types.HarPair
  export type HarPostData = types.HarPostData
  export type HarReplayOptions = types.HarReplayOptions
  export type HarRequest = types.HarRequest
  export type HarResponse = types.HarResponse
  export type HarTimings = types.HarTimings
  export type HarWebSocketMessage = types.HarWebSocketMessage
}

export = fastifyProxHar
