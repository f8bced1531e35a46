/** Every error of this package: `@fastify/error` classes whose codes begin with `FST_PROX_`. */
export * from './authority'
export * from './clients'
export * from './recordings'
export * from './requests'
export * from './show'
export * from './start-up'
export * from './upstream'
