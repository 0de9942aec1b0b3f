// Baileys' group ciphers as the other end of a conversation that a test drives. One JSON object a line: a command on
// stdin, its answer on stdout. Byte strings are hex.
//
//   {"op": "reset"}                                 → {}               no keys, neither ours nor theirs
//   {"op": "distribution"}                          → {"body"}         what a member needs to read this end
//   {"op": "take", "body": "…"}                     → {}               take in the other end's key
//   {"op": "encrypt", "plaintext": "…"}             → {"body"}
//   {"op": "decrypt", "body": "…"}                  → {"plaintext"}
//   {"op": "rotate"}                                → {}               the next message is under a new key
//
// A failure answers {"error": name, "reason": text}. Keys are serialised after each operation, as Baileys does it, but for
// one thing: in 7.0.0-rc14 the keys kept for late messages don't survive that (an array of bytes is not read back as
// one), so it can read no group message that was overtaken. Here they do, for the ciphers are what is compared.

import { createInterface } from 'node:readline'
import {
	GroupCipher,
	GroupSessionBuilder,
	SenderKeyDistributionMessage,
	SenderKeyName,
	SenderKeyRecord
} from 'baileys/lib/Signal/Group/index.js'

console.log = console.info = console.warn = console.error = () => {}

const hex = bytes => Buffer.from(bytes).toString('hex')
const bytes = text => Buffer.from(text, 'hex')
const own = new SenderKeyName('120363000000000001@g.us', { id: 'own', deviceId: 0 })
const other = new SenderKeyName('120363000000000001@g.us', { id: 'other', deviceId: 0 })

let keys = new Map()

function revived(_, value) {
	return value?.type === 'Buffer' ? Buffer.from(value.data) : value
}

const store = {
	loadSenderKey: async name => {
		const stored = keys.get(name.toString())
		return stored ? new SenderKeyRecord(JSON.parse(stored, revived)) : new SenderKeyRecord()
	},
	storeSenderKey: async (name, record) => {
		keys.set(name.toString(), JSON.stringify(record.serialize()))
	}
}

const operations = {
	async reset() {
		keys = new Map()
		return {}
	},
	async distribution() {
		return { body: hex((await new GroupSessionBuilder(store).create(own)).serialize()) }
	},
	async take({ body }) {
		const message = new SenderKeyDistributionMessage(null, null, null, null, bytes(body))
		await new GroupSessionBuilder(store).process(other, message)
		return {}
	},
	async encrypt({ plaintext }) {
		return { body: hex(await new GroupCipher(store, own).encrypt(bytes(plaintext))) }
	},
	async decrypt({ body }) {
		return { plaintext: hex(await new GroupCipher(store, other).decrypt(bytes(body))) }
	},
	async rotate() {
		keys.delete(own.toString())
		return {}
	}
}

for await (const line of createInterface({ input: process.stdin })) {
	const { op, ...rest } = JSON.parse(line)
	const answer = await operations[op](rest).catch(error => ({ error: error.name, reason: String(error.message) }))
	process.stdout.write(JSON.stringify(answer) + '\n')
}
