/** The plugin `fastify-prox/warc`: records what `fastify-prox/forward` sends to WARC files. */
import { resolve } from 'node:path'
import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import '../types/forward'
import type { WarcOptions } from '../types/warc'
import { readWarcOptions } from './options'
import { Recording } from './recording'
import { Writer } from './writer'

const { version } = require('fastify-prox/package.json') as { version: string }

const FORMAT = [
  ['format', 'WARC File Format 1.1'],
  ['conformsTo', 'http://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/']
] as const

const plugin: FastifyPluginAsync<WarcOptions> = async (fastify, options) => {
  const { directory, prefix, rotate, dedup, info } = readWarcOptions(options)
  const folder = resolve(directory)
  const fields = [['software', `fastify-prox/${version}`] as const, ...FORMAT, ...Object.entries(info)]
  const writer = await Writer.start({ directory: folder, prefix, rotate, info: fields })
  const recording = new Recording(folder, writer, dedup)
  fastify.addHook('onClose', async () => await recording.close())
  fastify.onExchange((exchange) => recording.sink(exchange))
}

export const fastifyProxWarc = fp(plugin, {
  fastify: '5.x', name: 'fastify-prox-warc', dependencies: ['fastify-prox-forward']
})
