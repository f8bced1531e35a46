/** `require('fastify-prox/forward')`: the plugin itself, also as `default` and by name. */
import type * as types from '../types/forward'
import type * as netTypes from '../types/net'
import { fastifyProxForward as plugin } from './plugin'

const fastifyProxForward: typeof plugin & {
  readonly default: typeof plugin
  readonly fastifyProxForward: typeof plugin
} = Object.assign(plugin, { default: plugin, fastifyProxForward: plugin })

declare namespace fastifyProxForward {
  export type AllowAddresses = netTypes.AllowAddresses
  export type DialTarget = netTypes.DialTarget
  export type Exchange = types.Exchange
  export type ExchangeAnswer = types.ExchangeAnswer
  export type ExchangeAnswerer = types.ExchangeAnswerer
  export type ExchangeCall = types.ExchangeCall
  export type ExchangeConnection = types.ExchangeConnection
  export type ExchangeEnd = types.ExchangeEnd
  export type ExchangeListener = types.ExchangeListener
  export type ExchangeRequest = types.ExchangeRequest
  export type ExchangeResponse = types.ExchangeResponse
  export type ExchangeSink = types.ExchangeSink
  export type ExchangeSocketAnswer = types.ExchangeSocketAnswer
  export type ForwardConfig = types.ForwardConfig
  export type ForwardHeaders = types.ForwardHeaders
  export type ForwardHost = types.ForwardHost
  export type ForwardOptions = types.ForwardOptions
  export type ForwardPluginOptions = types.ForwardPluginOptions
  export type ForwardResponse = types.ForwardResponse
  export type ForwardSocketOptions = types.ForwardSocketOptions
  export type ForwardTarget = types.ForwardTarget
  export type ForwardTimeouts = types.ForwardTimeouts
  export type ForwardVia = types.ForwardVia
  export type Lookup = netTypes.Lookup
  export type UpstreamProxy<Target = DialTarget> = netTypes.UpstreamProxy<Target>
}

export = fastifyProxForward
