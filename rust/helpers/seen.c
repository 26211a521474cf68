// SPDX-License-Identifier: GPL-2.0
#include <linux/export.h>
#include <linux/rcupdate.h>

#include "helpers.h"

static rvs_see_t *see;

/* Who finds connections, from the module's init on. Who asks needs this module, and so is gone before. */
void rvs_seen_by(rvs_see_t *asked)
{
	WRITE_ONCE(see, asked);
}

bool rvs_see(struct net *net, const struct sk_buff *skb, u8 version, struct rvs_seen *seen)
{
	rvs_see_t *asked = READ_ONCE(see);

	return asked && asked(net, skb, version, seen);
}
EXPORT_SYMBOL_GPL(rvs_see);
