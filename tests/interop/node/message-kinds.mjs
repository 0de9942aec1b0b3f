// What Baileys makes of messages, without a connection. One JSON list on stdin, one of the same length on stdout:
//
//   {"content": what sendMessage takes}              → the Message that Baileys sends, base64
//   {"message": the Message as an object}            → the same, encoded as it is
//   {"sealed_edit": {"secret", "id", "author", "editor", "text"}}   secret in hex → a secretEncryptedMessage
//   {"sealed_vote": {"secret", "id", "author", "voter", "option"}}  → a pollUpdateMessage
//
// Baileys opens sealed votes, but makes none, and knows sealed edits by their schema only: they are made here of its own
// primitives, and a vote is opened again by Baileys itself before it is handed out.

import { createHash } from 'node:crypto'
import { text } from 'node:stream/consumers'
import { aesEncryptGCM, decryptPollVote, generateWAMessageContent, hmacSign, proto } from 'baileys'

const IV = Buffer.alloc(12, 7)
const bytes = value => Buffer.from(value)

// HKDF-SHA256 without a salt, 32 bytes, as decryptPollVote derives its key.
function sealingKey(secret, ...parts) {
	const extracted = hmacSign(secret, new Uint8Array(32), 'sha256')
	return hmacSign(Buffer.concat([...parts.map(bytes), new Uint8Array([1])]), extracted, 'sha256')
}

const makers = {
	async content(content) {
		return generateWAMessageContent(content, { upload: async () => ({ mediaUrl: 'https://m', directPath: '/d' }) })
	},
	async message(message) {
		return proto.Message.fromObject(message)
	},
	async sealed_edit({ secret, id, author, editor, text }) {
		const protocolMessage = {
			key: { id, fromMe: true },
			type: proto.Message.ProtocolMessage.Type.MESSAGE_EDIT,
			editedMessage: { conversation: text }
		}
		const plain = proto.Message.encode({ protocolMessage }).finish()
		const key = sealingKey(Buffer.from(secret, 'hex'), id, author, editor, 'Message Edit')
		const { MESSAGE_EDIT } = proto.Message.SecretEncryptedMessage.SecretEncType
		return {
			secretEncryptedMessage: {
				targetMessageKey: { id, fromMe: true, remoteJid: '9999@lid' },
				encPayload: aesEncryptGCM(plain, key, IV, Buffer.alloc(0)),
				encIv: IV,
				secretEncType: MESSAGE_EDIT
			}
		}
	},
	async sealed_vote({ secret, id, author, voter, option }) {
		const pollEncKey = Buffer.from(secret, 'hex')
		const selectedOptions = [createHash('sha256').update(option).digest()]
		const plain = proto.Message.PollVoteMessage.encode({ selectedOptions }).finish()
		const key = sealingKey(pollEncKey, id, author, voter, 'Poll Vote')
		const vote = { encPayload: aesEncryptGCM(plain, key, IV, bytes(`${id}\u0000${voter}`)), encIv: IV }
		const names = { pollCreatorJid: author, pollMsgId: id, pollEncKey, voterJid: voter }
		if (!decryptPollVote(vote, names).selectedOptions.length) throw new Error('not what Baileys opens')
		return { pollUpdateMessage: { pollCreationMessageKey: { id }, vote } }
	}
}

const made = []
for (const task of JSON.parse(await text(process.stdin))) {
	const [[maker, input]] = Object.entries(task)
	const message = await makers[maker](input)
	made.push(Buffer.from(proto.Message.encode(message).finish()).toString('base64'))
}
process.stdout.write(JSON.stringify(made))
