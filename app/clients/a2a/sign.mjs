// Signs and verifies agent cards with @a2a-js/sdk 1.x. One JSON document comes on standard input and one goes to standard output; see
// signature_test.go.
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { text } from 'node:stream/consumers'

const load = (name) => import(pathToFileURL(join(process.env.BUREAU_A2A, 'node_modules', name)).href)
const { AgentCard, generateAgentCardSignature, verifyAgentCardSignature } = await load('a2a/dist/index.js')
const jose = await load('jose/dist/webapi/index.js')
console.debug = () => {} // the library tells every signature that it does not like

const answers = []
for (const job of JSON.parse(await text(process.stdin))) {
  const key = await jose.importJWK(job.key, job.alg)
  const answer = { cards: [], errors: [] }
  for (const card of job.cards) {
    let signed = null, error = ''
    try {
      if (job.do === 'verify') {
        await verifyAgentCardSignature(async (kid) => {
          if (kid !== job.kid) throw new Error(`no key ${kid}`)
          return key
        })(card)
      } else {
        const sign = generateAgentCardSignature(key, { alg: job.alg, kid: job.kid, typ: 'JOSE' })
        signed = job.do === 'sign typed' ? AgentCard.toJSON(await sign(AgentCard.fromJSON(card))) : await sign(card)
      }
    } catch (e) {
      error = String(e)
    }
    answer.cards.push(signed)
    answer.errors.push(error)
  }
  answers.push(answer)
}
console.log(JSON.stringify(answers))
