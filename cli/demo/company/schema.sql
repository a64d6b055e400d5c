-- Larch Supply: a small shop with offices in the north and the south. `gw:tags(…)` in a comment names tags that policies can speak of.
create role larch_owner nologin;
create schema hr;
create schema support;
grant usage on schema public, hr, support to gateway;

create type public.order_status as enum ('new', 'paid', 'shipped', 'returned');

create table public.customers (
  id          integer primary key,
  tenant      text not null,
  region      text not null,
  name        text not null,
  email       text not null unique,
  phone       text,
  tax_id      varchar(20),
  card_number varchar(19),
  newsletter  boolean not null default false,
  joined_on   date not null
);
comment on table public.customers is 'Who buys. gw:tags(tenant_scoped)';
comment on column public.customers.name is 'Family name first where the customer writes it so. gw:tags(personal)';
comment on column public.customers.email is 'Where invoices go. gw:tags(pii, contact)';
comment on column public.customers.phone is 'gw:tags(pii, contact)';
comment on column public.customers.tax_id is 'National tax number. gw:tags(pii, secret)';
comment on column public.customers.card_number is 'Kept for refunds; a relic. gw:tags(secret)';

create table public.products (
  id    integer primary key,
  sku   text not null unique,
  name  text not null,
  price numeric(10, 2) not null,
  stock integer not null
);

create table public.orders (
  id          integer primary key,
  tenant      text not null,
  region      text not null,
  customer_id integer not null references public.customers,
  status      public.order_status not null,
  total       numeric(10, 2) not null,
  paid        boolean not null default false,
  placed_at   timestamptz not null
);
comment on table public.orders is 'What was bought. gw:tags(tenant_scoped)';
create index orders_customer on public.orders (customer_id);

create table public.order_items (
  order_id   integer not null references public.orders,
  line       integer not null,
  product_id integer not null references public.products,
  quantity   integer not null,
  price      numeric(10, 2) not null,
  primary key (order_id, line)
);

create table public.order_events (
  order_id integer not null,
  at       timestamptz not null,
  what     text not null,
  detail   jsonb not null default '{}'
) partition by range (at);
create table public.order_events_2026_h1 partition of public.order_events for values from ('2026-01-01') to ('2026-07-01');
create table public.order_events_2026_h2 partition of public.order_events for values from ('2026-07-01') to ('2027-01-01');

-- Reaches customers.email through a view: masks hold here too.
create view public.order_overview as
  select o.id, o.tenant, o.region, o.status, o.total, c.name as customer, c.email as contact
  from public.orders o join public.customers c on c.id = o.customer_id;

create table hr.employees (
  id           integer primary key,
  name         text not null,
  email        text not null,
  team         text not null,
  region       text not null,
  manager_id   integer references hr.employees,
  salary       integer not null,
  bank_account varchar(34) not null,
  hired_on     date not null
);
comment on column hr.employees.email is 'gw:tags(pii, contact)';
comment on column hr.employees.salary is 'EUR a year. gw:tags(pay)';
comment on column hr.employees.bank_account is 'gw:tags(pii, secret)';

create table hr.payroll (
  id          integer primary key,
  employee_id integer not null references hr.employees,
  month       date not null,
  gross       numeric(10, 2) not null,
  net         numeric(10, 2) not null
);
comment on table hr.payroll is 'What was paid to whom. gw:tags(restricted)';

create table support.tickets (
  id          integer primary key,
  customer_id integer not null references public.customers,
  region      text not null,
  subject     text not null,
  body        text not null,
  priority    text not null,
  is_open     boolean not null,
  opened_at   timestamptz not null
);
comment on column support.tickets.body is 'Free text: customers paste anything into it. gw:tags(free_text)';

create table support.api_tokens (
  id         integer primary key,
  owner      text not null,
  token      text not null,
  expires_at timestamptz not null
);
comment on table support.api_tokens is 'Live credentials of partner systems. gw:tags(restricted)';
comment on column support.api_tokens.token is 'gw:tags(secret)';
