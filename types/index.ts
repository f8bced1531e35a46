/** Exports every public type; `plugin/index.ts` gives each of them its name in the package. */
export type * from './ca'
export type * from './clients'
export type * from './errors'
export type * from './events'
export type * from './net'
export type * from './options'
export type * from './request'
