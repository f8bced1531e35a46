/** The plugin `fastify-prox/har`: records what `fastify-prox/forward` sends, or answers in its place. */
import { resolve } from 'node:path'
import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import '../types/forward'
import type { HarOptions } from '../types/har'
import { checkHarOptions } from './options'
import { Recording } from './recording'
import { Redactor } from './redact'
import { openLibrary, replay } from './replay'

const DEFAULT_INLINE_LIMIT = 1024 * 1024

const plugin: FastifyPluginAsync<HarOptions> = async (fastify, options) => {
  checkHarOptions(options)
  const { mode = 'replay', match, redact, inlineLimit = DEFAULT_INLINE_LIMIT } = options
  const file = resolve(options.file)
  if (mode === 'off') return
  const library = mode === 'record' ? null : await openLibrary(file, { match, redact }, mode === 'update')
  if (mode !== 'replay') {
    const recording = await Recording.start({ file, mode, redactor: new Redactor(redact), inlineLimit })
    fastify.addHook('onClose', async () => await recording.close())
    fastify.onExchange((exchange) => recording.sink(exchange))
  }
  if (library === null) return
  fastify.answerExchange(async (call) => {
    try {
      return await replay(library, call)
    } catch (err) {
      if (mode === 'update' && (err as { code?: string }).code === 'FST_PROX_NOT_RECORDED') return null
      throw err
    }
  })
}

export const fastifyProxHar = fp(plugin, {
  fastify: '5.x', name: 'fastify-prox-har', dependencies: ['fastify-prox-forward']
})
