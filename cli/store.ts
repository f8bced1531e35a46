/** Loads the store of a certificate authority from a module. */
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { isObject } from '../plugin/option-rules'
import type { CertificateStore } from '../types/ca'

interface Exported {
  readonly default?: unknown
  readonly close?: () => unknown
}

/** @throws whatever the module throws, and an error for one whose default export is no object */
export async function loadStore (module: string): Promise<{ store: CertificateStore, close: () => unknown }> {
  const { default: exported, close = () => {} } = await import(pathToFileURL(resolve(module)).href) as Exported
  if (!isObject(exported)) throw new Error(`${module} has no store as its default export`)
  return { store: exported as CertificateStore, close }
}
