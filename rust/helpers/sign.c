// SPDX-License-Identifier: GPL-2.0
/* Signatures of datagrams: HMAC of SHA-256, by the kernel's crypto API. */

#include <crypto/hash.h>
#include <crypto/utils.h>
#include <linux/err.h>

#include "helpers.h"

/* A key of LEN bytes; null where it cannot be, or there is no such algorithm. */
struct crypto_shash *rvs_signer_open(const u8 *key, unsigned int len)
{
	struct crypto_shash *signer = crypto_alloc_shash("hmac(sha256)", 0, 0);
	int error;

	if (IS_ERR(signer))
		return NULL;
	error = crypto_shash_setkey(signer, key, len);
	if (!error && crypto_shash_digestsize(signer) != RVS_SIGNATURE)
		error = -EINVAL;
	if (error) {
		crypto_free_shash(signer);
		return NULL;
	}
	return signer;
}

void rvs_signer_close(struct crypto_shash *signer)
{
	crypto_free_shash(signer);
}

/* Writes the signature of LEN bytes. */
int rvs_signer_sign(struct crypto_shash *signer, const u8 *data, unsigned int len, u8 *signature)
{
	return crypto_shash_tfm_digest(signer, data, len, signature);
}

/* In a time that does not say how much of it is right. */
bool rvs_signer_equal(const u8 *one, const u8 *other)
{
	return !crypto_memneq(one, other, RVS_SIGNATURE);
}
