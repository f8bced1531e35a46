/** `require('fastify-prox/warc')`: the plugin that records, also as `default` and by name, and the one that replays. */
import type * as types from '../types/warc'
import { fastifyProxWarc as plugin } from './plugin'
import { replay } from './replay'

const fastifyProxWarc: typeof plugin & {
  readonly default: typeof plugin
  readonly fastifyProxWarc: typeof plugin
  /**
   * A plugin whose routes answer every request of WARC files, at the original URLs, and never ask the network.
   * @throws FST_PROX_INVALID_OPTION, FST_PROX_UNKNOWN_OPTION, FST_PROX_WARC_UNREADABLE when it is loaded
   * @example app.register(warc.replay, { files: 'archive/*.warc.gz' })
   */
  readonly replay: typeof replay
} = Object.assign(plugin, { default: plugin, fastifyProxWarc: plugin, replay })

declare namespace fastifyProxWarc {
  export type WarcCapture = types.WarcCapture
  export type WarcOptions = types.WarcOptions
  export type WarcReplayOptions = types.WarcReplayOptions
}

export = fastifyProxWarc
