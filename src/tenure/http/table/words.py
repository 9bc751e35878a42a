"""The words in which rows of the route table are written: actions and tenant rules."""

from tenure.core.principal import Action
from tenure.http.call import TenantRule

CONNECT = Action.CONNECT
READ, WRITE, MANAGE, DRAIN = Action.READ, Action.WRITE, Action.MANAGE, Action.DRAIN
PUBLIC, OWN, HOST = TenantRule.PUBLIC, TenantRule.OWN, TenantRule.HOST
SESSION, RUN, KEY = TenantRule.SESSION, TenantRule.RUN, TenantRule.KEY
APPROVAL, SCHEDULE = TenantRule.APPROVAL, TenantRule.SCHEDULE
SIGN_IN = TenantRule.SIGN_IN
