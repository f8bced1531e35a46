/** `require('fastify-prox/warc')`: the plugin that records, also as `default` and by name, and the one that replays. */
import type * as types from '../types/warc'
import { fastifyProxWarc as plugin } from './plugin'

const fastifyProxWarc: typeof plugin & {
  readonly default: typeof plugin
  readonly fastifyProxWarc: typeof plugin
} = Object.assign(plugin, { default: plugin, fastifyProxWarc: plugin })

declare namespace fastifyProxWarc {
  export type WarcCapture = types.WarcCapture
  export type WarcOptions = types.WarcOptions
  export type WarcReplayOptions = types.WarcReplayOptions
}

export = fastifyProxWarc
