from p1 import *
G=task.numbered()
class Tab:
    """backoff: root -> group, success by action; optimistic start q0 with n0"""
    def __init__(s,kappa=10,q0=0.0,n0=0):
        s.k=kappa; s.root=[np.full(A,q0),np.full(A,float(n0))]; s.m={}
    def predict(s,i):
        q=s.root[0].copy(); c=s.m.get(G[i])
        if c is not None:
            w=c[1]/(c[1]+s.k); q+=w*(c[0]-q)
        return q
    def learn(s,i,a,y):
        for c in (s.root, s.m.setdefault(G[i],[np.zeros(A),np.zeros(A)])):
            c[1][a]+=1; c[0][a]+=(y-c[0][a])/c[1][a]
class Hyb:
    """logit over tokens + group dummies + table, averaged weight"""
    def __init__(s,lr=.3,w=.5,groups=True,kappa=10):
        s.tok=TokLogit(A,lr=lr); s.tab=Tab(kappa); s.w=w; s.c=np.zeros(A); s.n=np.zeros(A)
    def utility(s,i): return s.w*s.tok.predict(H[i])+(1-s.w)*s.tab.predict(i)-s.c
    def learn(s,i,a,ok,u,p):
        s.tok.learn(H[i],a,ok); s.tab.learn(i,a,ok); s.n[a]+=1; s.c[a]+=(known[i,a]-s.c[a])/s.n[a]
if __name__=='__main__':
    O=10 if N<2000 else 2
    for w in (0,.5,1):
        for ex in (('eps',.1,500),('eps',.2,20),('eps',.5,5),('sq',30,.5),('sq',100,.5),('sq',300,.25)):
            print(w,ex,run(task,lambda:Hyb(.3,w),O,ex),flush=True)
