-- An example to try the gateway on.
create table customers (id int primary key, name text not null, email text not null);
create table orders (id int primary key, customer_id int not null references customers, total numeric(10, 2) not null);
insert into customers values (1, 'Ana', 'ana@example.com'), (2, 'Bo', 'bo@example.com');
insert into orders values (1, 1, 19.90), (2, 2, 5.00), (3, 1, 120.00);
