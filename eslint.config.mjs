import neostandard, { plugins } from 'neostandard'

/** The files that may write the `url` of a raw request; everybody else reads it. */
const WRITES_URL = [
  'plugin/routing/private-routes.ts',
  // Puts the origin into the url of the request that it injects.
  'plugin/clients/injected-request.ts'
]
const DEFINES = 'CallExpression[callee.object.name="Object"][callee.property.name=/^(assign|defineProperty)$/]'
const URL_MESSAGE = 'Only the files that eslint.config.mjs names write the url of a request.'

export default [
  // Not from .gitignore, whose folders at the top neostandard takes for any folder of that name, plugin/ca among them.
  { ignores: ['**/node_modules/', '**/dist/', '**/coverage/', '**/.tap/', 'ca/'] },
  ...neostandard({ ts: true, filesTs: ['**/*.mts'] }),
  { rules: { '@stylistic/arrow-parens': ['error', 'always'] } },
  { rules: { '@stylistic/max-len': ['error', { code: 120, tabWidth: 2 }] } },
  {
    files: ['**/*.ts', '**/*.mts'],
    plugins: { '@typescript-eslint': plugins['typescript-eslint'].plugin },
    rules: {
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      // A type and a value of one name are one export; tsc reports what is wrong.
      '@typescript-eslint/no-redeclare': 'off'
    }
  },
  {
    files: ['{plugin,cli,forward,har,warc}/**/*.ts'],
    ignores: WRITES_URL,
    rules: {
      'no-restricted-syntax': ['error',
        { selector: 'AssignmentExpression > MemberExpression.left[property.name="url"]', message: URL_MESSAGE },
        { selector: `${DEFINES} > ObjectExpression > Property[key.name="url"]`, message: URL_MESSAGE },
        { selector: `${DEFINES} > Literal[value="url"]`, message: URL_MESSAGE }
      ]
    }
  }
]
