import neostandard, { plugins, resolveIgnoresFromGitignore } from 'neostandard'

export default [
  { ignores: [...resolveIgnoresFromGitignore(), 'bench/**/node_modules/**'] },
  ...neostandard({ ts: true, filesTs: ['**/*.mts'] }),
  { rules: { '@stylistic/arrow-parens': ['error', 'always'] } },
  {
    files: ['**/*.ts', '**/*.mts'],
    plugins: { '@typescript-eslint': plugins['typescript-eslint'].plugin },
    rules: {
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      // A type and a value of one name are one export; tsc reports what is wrong.
      '@typescript-eslint/no-redeclare': 'off'
    }
  }
]
